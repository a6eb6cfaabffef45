"""Report: what a verification has found, on one screen."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from earmark.testing.story import fitted

#: One screen: so many columns, so many lines.
WIDTH, HEIGHT = 100, 24
_SHOWN = 3


class Mistake(StrEnum):
    """What an author can get wrong, by the name that a report gives it."""

    NO_TOKEN = "sends without the token"  # noqa: S105 - no credential
    GUESSES = "guesses on timeout"
    NO_UNDO = "forgets undo"
    UNDO_FAILS = "cannot take it back"
    UNDO_VOID = "takes nothing back"
    NOT_OWN = "takes back what is not its own"
    BY_NAME = "finds by name alone"
    NOT_FOUND = "does not find its own"
    DOUBLED = "does it twice"
    LOST = "reports what is not there"
    ENDS_BADLY = "ends badly"
    UNENDED = "never ends"
    BROKEN = "breaks an invariant"


#: What to do about each.
_ADVICE = {
    Mistake.NO_TOKEN: "hand ctx.token or ctx.mark on in `send`, and make names of it.",
    Mistake.GUESSES: "let the exception out: what nobody knows is found out.",
    Mistake.NO_UNDO: "write `undo`, or say may_leave=.",
    Mistake.UNDO_FAILS: "see what it raised or is held for: a mistake in `undo`, or "
    "in the command that it returned.",
    Mistake.UNDO_VOID: "see that its request removes it, and what it is compared with: "
    "the object shows tx.undone.token or tx.undone.mark.",
    Mistake.NOT_OWN: "prove the mark right before deleting: hand tx.undone.token or "
    "tx.undone.mark on in `undo`, and compare what the object shows.",
    Mistake.BY_NAME: "give as mark only what the provider shows inside the object.",
    Mistake.NOT_FOUND: "let `find` return Found(…, mark=…), with the token or mark "
    "that the provider shows inside the object.",
    Mistake.DOUBLED: "let `find` return what is there, or declare another class.",
    Mistake.LOST: "let `poll` and `find` say Done only when it is really there.",
    Mistake.ENDS_BADLY: "see below what it ended with; an exception of your own?",
    Mistake.UNENDED: "see what it waits for: a `poll` that says Running for ever, or "
    "the same error again and again.",
    Mistake.BROKEN: "this is a mistake of Earmark's own: please report it.",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One mistake, in the simplest schedule that shows it.

    `command`: whose it is. `text`: one sentence. `when`: what befell the run, at which
    instant or call. `told`: what came of it. `story`: the tasks' log. `schedule`: the
    line that plays it again.
    """

    mistake: Mistake
    command: str
    text: str
    when: str
    told: Sequence[str]
    story: Sequence[str]
    schedule: str


@dataclass(frozen=True, slots=True)
class Report:
    """What a verification came to. `effects`: what the worlds made in all schedules
    together; `held`: in how many schedules a person had to decide, and why. `untried`:
    commands that take something back, and did so in no schedule in which somebody else
    had something there."""

    command: str
    schedules: int
    kills: int
    effects: int
    held: int
    why_held: Sequence[str]
    seed: int
    seconds: float
    findings: Sequence[Finding]
    untried: Sequence[str] = ()

    @property
    def ok(self) -> bool:
        """True when nothing was found."""
        return not self.findings

    def __str__(self) -> str:
        lines = [self._head()]
        for number, finding in enumerate(self.findings[:_SHOWN], start=1):
            lines += _first(finding) if number == 1 else _further(number, finding)
        if len(self.findings) > _SHOWN:
            lines.append(f"… and {len(self.findings) - _SHOWN} more")
        if self.findings:
            first = self.findings[0]
            lines.append("How the first went:")
            told = fitted(first.story, HEIGHT - 1 - len(lines), WIDTH - 2)
            lines += [f"  {line}" for line in told]
            lines.append(f'Play it again: verify(…, replay="{first.schedule}")')
        else:
            lines += [f"held: {why}" for why in self.why_held[:_SHOWN]]
            if self.untried:
                lines.append(
                    f"not tried: that {', '.join(self.untried)} leaves alone what is "
                    f"somebody else's"
                )
        return "\n".join(_cut(line) for line in lines)

    def _head(self) -> str:
        count = len(self.findings)
        found = "1 mistake" if count == 1 else f"{count or 'no'} mistakes"
        return (
            f"verify {self.command}: {found} in {self.schedules} schedules "
            f"({self.kills} kills, {self.effects} effects, {self.held} held, "
            f"seed {self.seed}, {self.seconds:.{0 if self.seconds > 10 else 1}f} s)"
        )


class VerificationFailed(AssertionError):
    """A command broke its promise in some schedule; `report` tells how."""

    def __init__(self, report: Report) -> None:
        super().__init__(str(report))
        self.report = report


def _first(finding: Finding) -> list[str]:
    lines = _wrapped(f"1. {finding.mistake}: {finding.text}")
    lines += _wrapped(f"   when {finding.when}")
    lines += [f"   and so it {told}" for told in finding.told[:2]]
    return lines + _wrapped(f"   do: {_ADVICE[finding.mistake]}")


def _further(number: int, finding: Finding) -> list[str]:
    return [
        f"{number}. {finding.mistake}: {finding.text}",
        f'   replay="{finding.schedule}": {finding.when}',
    ]


def _wrapped(line: str) -> list[str]:
    """On two lines, if it must."""
    made = textwrap.wrap(line, WIDTH, subsequent_indent="   ", drop_whitespace=True)
    indent = line[: len(line) - len(line.lstrip())]
    made[0] = indent + made[0].lstrip()
    return made if len(made) <= 2 else [made[0], f"{made[1][: WIDTH - 1]}…"]


def _cut(line: str) -> str:
    line = line.replace("\n", " ")
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…"
