"""Looks: what each `find` answered, held against what was there when it was asked."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from earmark.domain.connector import EffectClass
from earmark.domain.mark import Mark
from earmark.domain.states import PlaceholderState
from earmark.domain.task import Placeholder
from earmark.testing.checks import Aftermath, Wrong
from earmark.testing.report import Mistake

#: What a look showed of one token, or what it raised.
Look = Sequence[Any] | Exception
#: Where a look can prove that an effect is ours.
_PROVABLE = (EffectClass.TOKEN, EffectClass.IDENTITY, EffectClass.TAG)
_LOST = (PlaceholderState.HELD, PlaceholderState.DROPPED, PlaceholderState.REFUSED)
_KEEPS_TOKEN = (EffectClass.TOKEN, EffectClass.TAG)


def proves(found: Any, token: str, installation: str) -> bool:
    """True when this candidate shows the token, or this installation's mark of it."""
    whole = str(Mark(installation, token))
    return getattr(found, "mark", None) in (token, whole)


def unfound(
    after: Aftermath,
    looks: Mapping[str, Look],
    installation: str,
    *,
    strangers: bool = False,
) -> Iterator[Wrong]:
    """Held, or given up, though it is there and could be proved ours: no look showed
    the proof. `looks`: the last one for each token of which something had arrived by
    then. With `strangers`, what a look did show may rightly be in the way.
    """
    for token, look in looks.items():
        promise = after.effects.get(token)
        if promise is None or not _could_be_found(promise):
            continue
        shown = look if isinstance(look, Sequence) else ()
        if (strangers and shown) or any(
            proves(one, token, installation) for one in shown
        ):
            continue
        whose = after.task_of(token).command
        held = promise.state is PlaceholderState.HELD
        said = "is held" if held else "was given up as absent"
        keeps = promise.effect in _KEEPS_TOKEN
        there = [
            made.effect.id
            for made in after.made.get(token, ())
            if made.effect.there and (after.token_of(made) == token or not keeps)
        ]
        if there:
            text = (
                f"{whose} {said}, though {there[0]} is there with its token: "
                f"find {_in_words(look)}."
            )
            yield Wrong(Mistake.NOT_FOUND, whose, text)


def _could_be_found(promise: Placeholder) -> bool:
    # A job that was followed once, and is forgotten now, is a person's.
    followed = promise.external_id is not None
    lost = promise.state in _LOST
    return lost and not followed and promise.effect in _PROVABLE


def _in_words(look: Look) -> str:
    if isinstance(look, Exception):
        return f"raised {look!r}"
    if not look:
        return "showed nothing"
    first = look[0]
    mark = getattr(first, "mark", None)
    shown = f"mark {mark!r}" if mark else "no mark"
    return f"showed {getattr(first, 'id', first)} with {shown}"
