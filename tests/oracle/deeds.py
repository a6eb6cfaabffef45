"""What the oracle may do next, and how often: strategies, drawn from what there is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from hypothesis import strategies as st

from tests.oracle import commands
from tests.oracle.people import NORMAL
from tests.oracle.site import SCRIPTS

F = TypeVar("F", bound=Callable[..., None])
#: By name: its weight, what there must be, and its arguments.
DEEDS: dict[str, tuple[int, str | None, dict[str, Any]]] = {}

#: Mostly it goes well, so that more than the beginning of a plan is seen; else it is
#: rather lost than refused.
_LOST = [script for script in SCRIPTS if script.startswith("lost")]
ANY_SCRIPT = st.sampled_from((*SCRIPTS, *["accepts"] * 5, *_LOST, *_LOST))
SOME_SCRIPTS = st.lists(ANY_SCRIPT, min_size=1, max_size=4)


def among(names: str) -> st.SearchStrategy[str]:
    """One of what there is just now; `names` is the machine's method that tells."""

    def choose(machine: Any) -> st.SearchStrategy[str]:
        return st.sampled_from(getattr(machine, names)())

    return st.runner().flatmap(choose)


def deed(
    weight: int = 1, when: str | None = None, **arguments: st.SearchStrategy[Any]
) -> Callable[[F], F]:
    """A method that is one thing to do: as often as others by its weight, and only
    while there is anything of what `when` tells."""

    def add(method: F) -> F:
        DEEDS[method.__name__] = weight, when, arguments
        return method

    return add


class Deed:
    """Something to do, as it is to be read when it went wrong."""

    def __init__(self, name: str, arguments: dict[str, Any]) -> None:
        self.name, self.arguments = name, arguments

    def __repr__(self) -> str:
        told = ", ".join(f"{name}={it!r}" for name, it in self.arguments.items())
        return f"{self.name}({told})"


def _often_first(one: tuple[str, tuple[int, str | None, dict[str, Any]]]) -> int:
    """Hypothesis likes what comes first."""
    return -one[1][0]


@st.composite
def deeds(draw: st.DrawFn) -> Deed:
    """Anything that can be done now. These are not rules of hypothesis': of those it
    switches off half, in an average example, and then nothing comes to its end."""
    machine = draw(st.runner())
    possible = [
        name
        for name, (weight, when, _) in sorted(DEEDS.items(), key=_often_first)
        if when is None or getattr(machine, when)()
        for _ in range(weight)
    ]
    name = draw(st.sampled_from(possible))
    arguments = DEEDS[name][2]
    return Deed(name, {key: draw(it) for key, it in arguments.items()})


_OFTEN = (
    "Absolute", "Absolute", "Blind", "Blind", "OrFail", "Soon", "Token", "Token",
    "Undone", "Undone",
)  # fmt: skip
LOCKS = st.sampled_from(("", "", "x:a", "s:a", "x:b", "x:a s:b"))
SINGLE = st.sampled_from([*commands.SINGLE, *_OFTEN])
PROVIDERS = st.sampled_from(("p-1", "p-1", "p-1", "p-2"))
PRIORITIES = st.sampled_from((100, 100, 10))
#: What can be taken back is so only once it is done, as a part of what ends badly.
_PART = st.sampled_from([*commands.SINGLE, *_OFTEN, *["Undone"] * 12, *["Passing"] * 2])
_PLANS = st.sampled_from([*commands.PLANS, *["BrokenPlan"] * 2])
_LEAF = st.builds(commands.Part, kind=_PART, lock=LOCKS)
_INNER = st.builds(
    commands.Part,
    kind=_PLANS,
    lock=LOCKS,
    parts=st.lists(_LEAF, max_size=2).map(tuple),
)


@st.composite
def parts(draw: st.DrawFn) -> tuple[commands.Part, ...]:
    """Up to four children, each after some of those before it; or many at once."""
    if draw(st.integers(0, 15)) == 15:
        return (commands.Part(kind="Tag"),) * 11
    made: list[commands.Part] = []
    for place in range(draw(st.integers(0, 4))):
        part = draw(st.one_of(_LEAF, _LEAF, _INNER))
        before = st.sampled_from("abcd"[:place]) if place else st.nothing()
        after = draw(st.lists(before, max_size=2, unique=True)) if place else []
        made.append(part.model_copy(update={"after": tuple(after)}))
    return tuple(made)


@dataclass(frozen=True)
class Ask:
    """What is asked for, and how."""

    kind: str
    at: str = "p-1"
    lock: str = ""
    priority: int = NORMAL
    keyed: bool = False
    parts: tuple[commands.Part, ...] = ()


_ONE = st.builds(
    Ask, kind=SINGLE, at=PROVIDERS, lock=LOCKS, priority=PRIORITIES, keyed=st.booleans()
)
_PLAN = st.builds(
    Ask,
    kind=_PLANS,
    at=PROVIDERS,
    lock=LOCKS,
    priority=PRIORITIES,
    parts=parts(),
)
ASKS = st.one_of(_ONE, _ONE, _PLAN)
