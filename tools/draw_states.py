"""Draw the states and the moves between them, as `docs/reference/states.md` shows them.

    python tools/draw_states.py           write the page
    python tools/draw_states.py --check   exit 1 when the page is stale

What can move where comes from `earmark.domain.states` alone; only the words about each
state are here.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from earmark.domain.states import (
    OPEN_AT_PROVIDER,
    PLACEHOLDER_MOVES,
    TASK_MOVES,
    Outcome,
    PlaceholderState,
    Table,
    TaskState,
    is_final,
)

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "states.md"

TASKS = {
    TaskState.QUEUED: "Written down. These rows are the queue.",
    TaskState.RUNNING: "A worker has it, for one attempt.",
    TaskState.WAITING: "For its children, for an earlier sibling, for a lock or for a "
    "provider. No worker holds it.",
    TaskState.HELD: "Nothing more can be found out: a person must decide.",
    TaskState.CANCELLING: "Somebody asked it to stop, and something of it was sent.",
    TaskState.UNDOING: "It ended badly, and what it did is being taken back; between "
    "two steps of that it is queued.",
    TaskState.DONE: "Over, for good; `outcome` says how.",
}
OUTCOMES = {
    Outcome.OK: "What was asked for is there.",
    Outcome.WARNED: "It ran to its end, and its result is bad news: credentials that "
    "were verified and are wrong.",
    Outcome.FAILED: "It ended badly. Whatever is left at a provider is named.",
    Outcome.CANCELLED: "Nobody wanted it any more, and it was stopped before it was "
    "done. What was done is taken back, or named.",
    Outcome.EXPIRED: "Its time was over before anything of it was sent.",
    Outcome.INTERRUPTED: "A person stopped waiting without knowing how it went.",
}
PLACEHOLDERS = {
    PlaceholderState.PLANNED: "Promised, and nothing was sent.",
    PlaceholderState.SENDING: "The request may have left, from this commit on.",
    PlaceholderState.BOUND: "The provider accepted it, and its handle is known.",
    PlaceholderState.IN_DOUBT: "A request may have landed, and nobody knows. The "
    "provider is being asked.",
    PlaceholderState.HELD: "The provider cannot tell. A person must decide.",
    PlaceholderState.WATCHED: "A person gave up waiting; the sweep goes on looking.",
    PlaceholderState.SETTLED: "The effect came to its end, well or badly.",
    PlaceholderState.REFUSED: "The provider said a definite no.",
    PlaceholderState.DROPPED: "Never sent, and not needed any more.",
    PlaceholderState.ORPHAN: "It is there and belongs to no task.",
    PlaceholderState.EXPLAINED: "It was looked for and is not there.",
    PlaceholderState.ELSEWHERE: "This database is a copy; the original has it.",
}

INTRO = """\
# States

Two tables in `src/earmark/domain/states.py` say which moves exist. The store checks
every write against them, and this page is made from them by `tools/draw_states.py`.
"""


def page() -> str:
    """The whole page."""
    parts = [
        INTRO,
        "## A task\n",
        diagram(TASK_MOVES, TaskState.QUEUED),
        table(TASK_MOVES, TASKS),
        "### Outcomes\n",
        outcomes(),
        "## A placeholder: one promised effect\n",
        "A task cannot end while its placeholder is in one of "
        + ", ".join(f"`{s}`" for s in PlaceholderState if s in OPEN_AT_PROVIDER)
        + ": something of it may exist at the provider.\n",
        placeholder_states(),
        table(PLACEHOLDER_MOVES, PLACEHOLDERS),
        "What each step means is told in "
        "[The protocol in plain words](../explanation/protocol.md).",
    ]
    return "\n".join(parts) + "\n"


def diagram(moves: Table[Any], start: Any) -> str:
    """The table as a Mermaid state diagram."""
    return "\n".join(["```mermaid", *_lines(moves, start), "```", ""])


def _lines(moves: Table[Any], start: Any) -> Iterator[str]:
    yield "stateDiagram-v2"
    yield f"    [*] --> {start}"
    for old, targets in moves.items():
        for new, verb in targets.items():
            # A second colon would end the label.
            yield f"    {old} --> {new} : {verb.replace(':', ' –')}"
    for state in moves:
        if is_final(moves, state):
            yield f"    {state} --> [*]"


def placeholder_states() -> str:
    """The diagram of a placeholder alone, for the page that tells its story."""
    return diagram(PLACEHOLDER_MOVES, PlaceholderState.PLANNED)


def table(moves: Table[Any], meanings: dict[Any, str]) -> str:
    """Every state, what it means, and where it leads."""
    rows = ["| State | Meaning | Moves |", "|---|---|---|"]
    for state, targets in moves.items():
        leads = "<br>".join(_move(verb, new) for new, verb in targets.items())
        rows.append(f"| `{state}` | {meanings[state]} | {leads or 'final'} |")
    return "\n".join([*rows, ""])


def _move(verb: str, new: Any) -> str:
    return f"{verb} → `{new}`"


def outcomes() -> str:
    """Every outcome of a task that is done."""
    rows = ["| Outcome | Meaning | Good |", "|---|---|---|"]
    for outcome in Outcome:
        good = "yes" if outcome.good else "no"
        rows.append(f"| `{outcome}` | {OUTCOMES[outcome]} | {good} |")
    return "\n".join([*rows, ""])


def main(arguments: list[str]) -> int:
    """Write the page, or say whether it is stale."""
    fresh = page()
    if "--check" in arguments:
        if PAGE.exists() and PAGE.read_text(encoding="utf-8") == fresh:
            return 0
        print(f"{PAGE} is stale: python tools/draw_states.py")
        return 1
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(fresh, encoding="utf-8")
    print(f"wrote {PAGE}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
