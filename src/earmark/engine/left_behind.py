"""Left behind: what a task that ends badly has left at providers, said in its end, so
that nobody has to find it on a bill (rule 8)."""

from collections.abc import Iterator
from typing import Any

from earmark.domain.connector import EffectClass
from earmark.domain.states import Outcome, PlaceholderState, Step
from earmark.domain.task import Placeholder, Task
from earmark.engine.end import End
from earmark.store import claims, images, inventory, placeholders, tasks
from earmark.store import undo as undo_rows
from earmark.store.database import Transaction

#: How many of the steps that were not done a message names.
SHOWN = 3


def failed_with(
    tx: Transaction,
    task: Task,
    message: str,
    code: str,
    outcome: Outcome = Outcome.FAILED,
) -> End:
    """A bad end that names what was taken back, what is left behind at providers, and
    the steps that did not end well."""
    family = _Family(tx, task)
    error: dict[str, Any] = {"code": code, "message": message}
    if family.undone:
        error["undone"] = family.undone
        message += f"{_stop(message)} {family.how_undone()}"
    left = list(dict.fromkeys(family.left_behind()))
    if left:
        error["left_behind"] = left
        message += f"{_stop(message)} Left behind: {'; '.join(left)}."
    if family.not_done:
        error["not_done"] = family.not_done
        rest = len(family.not_done) - SHOWN
        more = f" and {rest} more" if rest > 0 else ""
        named = "; ".join(family.not_done[:SHOWN])
        message += f"{_stop(message)} Not done: {named}{more}."
    return End(outcome, message, error=error)


def _stop(message: str) -> str:
    """The full stop that a provider's own words may lack before ours go on."""
    return "" if not message or message.endswith((".", "!", "?")) else "."


class _Family:
    """A task and its parts, those of its undo apart."""

    def __init__(self, tx: Transaction, task: Task) -> None:
        self._tx, self._task = tx, task
        children = tasks.children(tx, task.id)
        steps = [child for child in children if child.undoes_id is not None]
        self._well = [step for step in steps if step.went_well]
        self.undone = [step.title for step in self._well]
        #: A person stopped waiting for the answer to these steps: they may be done.
        self._perhaps_undone = {
            step.undoes_id
            for step in steps
            if (step.error or {}).get("code") == "watched"
        }
        parts = [child for child in children if child.undoes_id is None]
        self.not_done = [part.title for part in parts if not part.went_well]

    def how_undone(self) -> str:
        """How much was taken back; a step that had nothing to send found nothing."""
        there = sum(placeholders.ever_sent(self._tx, step) for step in self._well)
        said = []
        if there:
            what = "1 effect was" if there == 1 else f"{there} effects were"
            said.append(f"{what} taken back.")
        if none := len(self._well) - there:
            what = "1 effect" if none == 1 else f"{none} effects"
            said.append(f"Of {what} nothing was there.")
        return " ".join(said)

    def left_behind(self) -> Iterator[str]:
        """What its effects have left at providers, one line each: every effect that was
        accepted and came well to its end; and what may be there, since its job ended
        badly half-way, or a person chose to watch for it, or not to take it back. A
        state that was brought about is no such thing, nor is an image that a VM's disk
        is on.

        Before its root ends, what can be taken back still will be.
        """
        if self._task.is_root:
            every = [self._task, *tasks.descendants(self._tx, self._task.id)]
        else:
            every = [self._task, *_below(self._tx, self._task)]
        effects = placeholders.all_of_tasks(
            self._tx, [task.id for task in every if task.undoes_id is None]
        )
        titles = {task.id: task.title for task in every}
        by_id = {effect.id: effect for effect in effects}
        stays = self._not_taken_back()
        for effect in effects:
            title = titles[effect.task_id]
            half = not effect.ended_well or effect.id in self._perhaps_undone
            unsure = effect.id in stays and half
            if unsure or effect.state is PlaceholderState.WATCHED:
                yield f"perhaps {self._named(effect, title)}"
            elif effect.state is PlaceholderState.ORPHAN:
                yield f"{self._named(effect, title)}, found since"
            elif effect.id in stays or self._leaves_something(effect):
                yield self._named(effect, title)
            elif self._leaves_a_half(effect):
                yield f"perhaps a part of {self._named(effect, title)}"
        for effect_id, spares in claims.spares(self._tx, by_id).items():
            effect = by_id[effect_id]
            where = inventory.name_of(self._tx, "provider", effect.provider_id)
            for spare in sorted(spares):
                title = titles[effect.task_id]
                yield f"{spare} at {where}, one too many (“{title}”)"

    def _not_taken_back(self) -> set[str]:
        """What the undo was for, and a person decided not to wait for any more."""
        if self._task.step is not Step.UNDO:
            return set()
        return {effect.id for effect in undo_rows.to_undo(self._tx, self._task.id)}

    def _leaves_something(self, effect: Placeholder) -> bool:
        """True for what was made, and is no part of anything else now."""
        if not effect.ended_well or not self._stays(effect):
            return False
        image = str(effect.result)
        return images.user_of(self._tx, effect.provider_id, image) is None

    def _leaves_a_half(self, effect: Placeholder) -> bool:
        """True for what was accepted, and whose job did not end well; not if a person
        has confirmed that nothing of it is there."""
        half = effect.state is PlaceholderState.SETTLED and not effect.ended_well
        known = effect.external_id is not None and effect.decision is None
        return half and known and self._stays(effect)

    def _stays(self, effect: Placeholder) -> bool:
        """True for what is no state, was not taken back, and will not be."""
        if effect.effect == EffectClass.ABSOLUTE or effect.undone_at is not None:
            return False
        return self._task.is_root or not effect.undoable

    def _named(self, effect: Placeholder, title: str) -> str:
        where = inventory.name_of(self._tx, "provider", effect.provider_id)
        what = effect.result if isinstance(effect.result, str) else effect.external_id
        what = what or f"{effect.operation} {effect.id}"
        return f"{what} at {where} (“{title}”)"


def _below(tx: Transaction, task: Task) -> Iterator[Task]:
    for child in tasks.children(tx, task.id):
        yield child
        yield from _below(tx, child)
