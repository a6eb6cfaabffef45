"""A report tells how it went on one screen, and stands alone."""

import pytest

from earmark import Ctx, Done, Failed, JobUnknown, Running
from earmark.testing import Finding, Mistake, Report, VerificationFailed, verify
from tests.testing import acme
from tests.testing.acme import FakeAcme

QUEUED = "Queued in zone default by local."
LONG = "Make a pair of things that belong together: Ended failed: " + "it was not " * 6


def told(*story: str) -> list[str]:
    """How a run went, as a report tells it."""
    mistake = Finding(Mistake.NO_UNDO, "Make", "It stays.", "it", (), story, "lose=1")
    report = Report("Make", 2, 0, 2, 0, (), 1, 0.5, [mistake])
    lines = str(report).splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 100
    return lines[lines.index("How the first went:") + 1 : -1]


def test_the_last_words_of_a_line_are_told_too() -> None:
    lines = told(QUEUED, f"{LONG}there.", "The end.")
    assert lines[0] == f"  {QUEUED}"
    assert len(lines) == 4
    assert " ".join(line.strip() for line in lines[1:3]) == f"{LONG}there."


def test_of_a_long_story_the_end_is_told_whole() -> None:
    lines = told(*[f"{number} {LONG}" for number in range(50)], f"{LONG}there.")
    assert lines[0].startswith("  0 Make a pair")
    assert "  …" in lines
    assert " ".join(line.strip() for line in lines[-2:]) == f"{LONG}there."


def test_what_goes_round_and_round_is_told_once() -> None:
    lines = told(QUEUED, *["Found it.", "Lost it."] * 9, "Found it.", "Held.")
    assert [line.strip() for line in lines] == [
        QUEUED,
        "Found it.",
        "Lost it.",
        "… these 2 lines 8 more times",
        "Found it.",
        "Held.",
    ]
    assert told(*["Lost it."] * 3) == ["  Lost it.", "  … the same 2 more times"]


def test_what_came_twice_in_another_order_stays() -> None:
    lines = ["a", "b", "c", "b", "a", "b"]
    assert [line.strip() for line in told(*lines)] == lines


class AdoptsAndDoubts(acme.FindsByName):
    def poll(self, ctx: Ctx, job: str) -> Running | Done[str] | Failed:
        thing = ctx.connect(acme.Things).get(job)
        if thing is None or thing.token != ctx.token:
            raise JobUnknown(f"There is no job {job}.")
        return Done(job)


def test_a_loop_of_the_engines_is_told_once() -> None:
    command, world = AdoptsAndDoubts(), FakeAcme()
    report = verify(command, world=world, replay="strangers drop=1", check=False)
    assert str(report).count("Found at the provider and adopted: thing-1.") <= 2
    assert "these 3 lines" in str(report)


def test_a_failed_test_shows_the_report_and_none_of_our_code() -> None:
    with pytest.raises(VerificationFailed) as raised:
        verify(acme.GuessesRefused(), world=FakeAcme(), replay="lose=1")
    shown = str(raised.getrepr(style="long"))
    assert "Play it again" in shown
    assert "verification.py" not in shown
    assert "VerificationFailed: verify GuessesRefused: 1 mistake" in shown
