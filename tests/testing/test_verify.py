"""What an author gets wrong is found, named, and told on one screen; what is right
passes (invariants 1, 3, 4 and 10)."""

from collections.abc import Sequence
from typing import Any

import pytest

from earmark import Command, Ctx, ExternalJob, NameTaken, NotSent, Running
from earmark.domain.errors import BadInput, Rejected
from earmark.testing import Finding, Mistake, Report, VerificationFailed, verify
from earmark.testing.invariants import RULES
from earmark.testing.schedule import Schedule, parse, share_of
from earmark.testing.trials import trials_of
from tests.testing import acme, acme_undo
from tests.testing.acme import FakeAcme

pytestmark = pytest.mark.slow

RIGHT = (
    acme.MakeThing(),
    acme.MakeMarkedThing(),
    acme.MakeNamedThing(),
    acme.MakeThingBlindly(),
    acme.LookAround(),
)
WRONG = (
    (acme.SendsWithoutToken(), Mistake.NO_TOKEN),
    (acme.NamesAnew(), Mistake.NO_TOKEN),
    (acme.GuessesRefused(), Mistake.GUESSES),
    (acme.GuessesNotSent(), Mistake.GUESSES),
    (acme.AsksTwice(), Mistake.GUESSES),
    (acme.GivesUpPolling(), Mistake.GUESSES),
    (acme.ForgetsUndo(), Mistake.NO_UNDO),
    (acme.ForgetsUndoAlone(), Mistake.NO_UNDO),
    (acme.FindsByName(), Mistake.BY_NAME),
    (acme.FindsByNameAndMark(), Mistake.BY_NAME),
    (acme.Hopes(), Mistake.DOUBLED),
    (acme.SeesNothing(), Mistake.NOT_FOUND),
    (acme.SeesNoName(), Mistake.NOT_FOUND),
    (acme_undo.UndoRaises(), Mistake.UNDO_FAILS),
    (acme_undo.StepBackRaises(), Mistake.UNDO_FAILS),
    (acme_undo.UndoReturnsNoJob(), Mistake.UNDO_FAILS),
    (acme_undo.UndoesNothing(), Mistake.UNDO_VOID),
    (acme_undo.UndoesByName(), Mistake.NOT_OWN),
    (acme_undo.UndoesByPlace(), Mistake.NOT_OWN),
)
#: What is there is held in the end, and what the look for it answered.
NEVER_FINDS = (
    (acme.ShowsNoMark(), "find showed thing-1 with no mark"),
    (acme.FindsByNameUnmarked(), "find showed thing-1 with no mark"),
    (acme.ShowsAnothersMark(), "find showed box-T1 with mark 'acme.T1'"),
    (acme.LooksBadly(), "find raised KeyError('mark')"),
    (acme.LooksBadlyForMany(), "find showed thing-1 with no mark"),
)
named: Any = lambda it: type(it).__name__ if isinstance(it, Command) else ""  # noqa: E731


@pytest.mark.parametrize("command", RIGHT, ids=named)
def test_what_is_right_passes(command: Command[Any]) -> None:
    report = verify(command, world=FakeAcme(), schedules=5)
    assert report.ok
    assert report.kills >= 20
    assert bool(report.held) == isinstance(command, acme.MakeThingBlindly) or (
        "nothing proves that it is ours" in report.why_held[0]
    )


def test_a_plan_that_takes_back_what_it_did_leaves_nothing() -> None:
    assert verify(acme.MakePair(), world=FakeAcme(), replay="refuse=2").ok
    assert verify(acme.MakePair(), world=FakeAcme(), replay="finish=3").ok


def test_it_tells_what_of_somebody_else_is_gone() -> None:
    command, world = acme_undo.UndoesByName(), FakeAcme()
    report = verify(command, world=world, replay="strangers refuse=2", check=False)
    assert report.findings[0].text == (
        "RemoveByName was to take back what MakeUndoneByName did, and thing-1 of "
        "somebody else is gone."
    )
    assert "others that look the same are there" in report.findings[0].when


@pytest.mark.parametrize(
    ("command", "untried"),
    [(acme.MakePair(), []), (acme_undo.PutPair(), ["RemoveThing"])],
    ids=named,
)
def test_an_undo_never_tried_beside_others_is_said(
    command: Command[Any], untried: list[str]
) -> None:
    worlds = {"world": FakeAcme()}
    with trials_of(lambda: command, worlds, lambda tx: None, ()) as trials:
        trials.undisturbed()
        trials.run(parse("refuse=2"))
        assert trials.untried == ["RemoveThing"]
        trials.run(parse("strangers refuse=2"))
        assert (trials.untried, trials.findings) == (untried, [])
    report = Report("Make", 3, 0, 5, 0, (), 1, 0.5, (), untried)
    said = "not tried: that RemoveThing leaves alone what is somebody else's"
    assert (said in str(report)) == bool(untried)


@pytest.mark.slow
def test_a_plan_that_takes_back_what_it_did_passes() -> None:
    assert verify(acme.MakePair(), world=FakeAcme(), schedules=10).ok


def test_the_whole_mark_is_adopted() -> None:
    report = verify(acme.MakeThingWithMark(), world=FakeAcme(), replay="lose=1")
    assert (report.ok, report.held) == (True, 0)


def test_what_may_be_left_is_no_mistake() -> None:
    leaves: list[Any] = [acme.MakeThing, "MakeUndoableThing"]
    world = FakeAcme()
    assert verify(acme.MakePair(), world=world, may_leave=leaves, replay="refuse=2").ok


@pytest.mark.parametrize(("command", "mistake"), WRONG, ids=named)
def test_what_is_wrong_is_found_and_named(
    command: Command[Any], mistake: Mistake
) -> None:
    report = verify(command, world=FakeAcme(), schedules=0, check=False)
    (finding,) = report.findings
    assert finding.mistake is mistake
    assert fits_a_screen(report)
    assert mistake in str(report)

    again = verify(command, world=FakeAcme(), replay=finding.schedule, check=False)
    assert told(again.findings[0]) == told(finding)
    assert again.schedules == 2


@pytest.mark.parametrize(("command", "answer"), NEVER_FINDS, ids=named)
def test_what_is_there_and_never_adopted_is_found_and_named(
    command: Command[Any], answer: str
) -> None:
    report = verify(command, world=FakeAcme(), replay="lose=1", check=False)
    (finding,) = report.findings
    assert finding.mistake is Mistake.NOT_FOUND
    assert "there with its token" in finding.text
    assert answer in finding.text
    assert "its reply is lost" in finding.when
    assert fits_a_screen(report)
    assert "Found(…, mark=…)" in str(report)


@pytest.mark.parametrize(
    ("command", "method"),
    [
        (acme.GivesUpLooking(), "GivesUpLooking.find"),
        (acme.GivesUpLookingForMany(), "GivesUpLookingForMany.find_many"),
    ],
    ids=named,
)
def test_a_look_that_takes_silence_for_absence_is_found_and_named(
    command: Command[Any], method: str
) -> None:
    report = verify(command, world=FakeAcme(), replay="lose=1 cut=1", check=False)
    (finding,) = report.findings
    assert finding.mistake is Mistake.GUESSES
    assert f"{method} returned list" in finding.text


@pytest.mark.parametrize("replay", ["undisturbed", "lose=1", "lose=1 cut=1"])
def test_what_passes_keywords_is_watched_as_well(replay: str) -> None:
    assert verify(acme.MakeThingInKeywords(), world=FakeAcme(), replay=replay).ok


RIGHTLY_HELD = (
    (acme.MakeThingBlindly(), "lose=1"),
    (acme.MakeThingAmongOthers(), "lose=1"),
    (acme.MakeMarkedThing(), "strangers drop=1"),
)


@pytest.mark.parametrize(("command", "replay"), RIGHTLY_HELD, ids=named)
def test_what_is_held_rightly_is_no_mistake(command: Command[Any], replay: str) -> None:
    report = verify(command, world=FakeAcme(), replay=replay)
    assert report.held == 1


def test_a_job_that_the_provider_forgot_is_no_mistake() -> None:
    worlds = {"world": FakeAcme()}
    with trials_of(acme.MakeThingByJob, worlds, lambda tx: None, ()) as trials:
        told = trials.undisturbed().index("MakeThingByJob.poll returns")
        trials.run(Schedule((told,)))
        assert (trials.findings, trials.held) == ([], 1)
    assert "does not know thing-1" in "".join(trials.why_held)


def fits_a_screen(report: Report) -> bool:
    lines = str(report).splitlines()
    return len(lines) <= 24 and max(map(len, lines)) <= 100


def told(finding: Finding) -> Sequence[object]:
    """A name that is chosen anew is another one each time."""
    text = "" if finding.command == "NamesAnew" else finding.text
    return finding.mistake, finding.command, text, finding.when, finding.schedule


#: What never takes it back, though no method of an author's raises an error of its own.
NEVER_TAKES_BACK = (
    (acme_undo.UndoReturnsNoJob(), "which is no ExternalJob"),
    (acme_undo.UndoneBy(by="RemoveByResult"), "left"),
    (acme_undo.UndoneBy(by="RemoveUnsupported"), "Acme has no Images"),
    (acme_undo.UndoneBy(by="SendsUnsupported"), "sent 5 times, and is still not there"),
    (acme_undo.UndoneBy(by="LooksUnsupported"), "Acme has no Images"),
    (acme_undo.UndoneBy(by="RemoveRejected"), "Nothing is removed here"),
    (acme_undo.UndoneBy(by="RemoveRefused"), "Acme removes nothing"),
)


@pytest.mark.parametrize(
    ("command", "why"), NEVER_TAKES_BACK, ids=lambda it: getattr(it, "by", "")
)
def test_an_undo_that_can_never_work_is_found_and_named(
    command: Command[Any], why: str
) -> None:
    report = verify(command, world=FakeAcme(), replay="refuse=2", check=False)
    (finding,) = report.findings
    assert finding.mistake is Mistake.UNDO_FAILS
    assert why in finding.text
    assert fits_a_screen(report)


def test_an_undo_that_nobody_could_tell_the_end_of_is_rightly_held() -> None:
    """Class `none`, and its reply is lost: a person must look."""
    command = acme_undo.UndoneBy(by="RemoveBlindly")
    report = verify(command, world=FakeAcme(), replay="refuse=2 lose=3")
    assert report.held == 1


def test_it_raises_with_the_report() -> None:
    with pytest.raises(VerificationFailed, match="sends without the token") as raised:
        verify(acme.SendsWithoutToken(), world=FakeAcme(), replay="lose=1")
    assert not raised.value.report.ok
    assert 'replay="' in str(raised.value)


class MakesEverything(acme.MakePair):
    """All mistakes at once."""

    def child(self, name: str) -> Command[Any]:
        return MakesAllMistakes(provider=self.provider, name=name)


class MakesAllMistakes(acme.FindsByName):
    def send(self, ctx: Ctx) -> str:
        try:
            return ctx.connect(acme.Things).create_marked(self.name)
        except TimeoutError as error:
            raise NotSent("It timed out.") from error


def test_many_mistakes_fit_a_screen() -> None:
    report = verify(MakesEverything(), world=FakeAcme(), schedules=0, check=False)
    mistakes = {finding.mistake for finding in report.findings}
    assert mistakes >= {Mistake.NO_TOKEN, Mistake.GUESSES}
    assert fits_a_screen(report)


class NeverEnds(acme.MakeThing):
    def poll(self, ctx: Ctx, job: str) -> Any:
        return Running(50, "on it for ever")


def test_what_does_not_end_undisturbed_is_said_at_once() -> None:
    report = verify(NeverEnds(), world=FakeAcme(), check=False)
    assert report.schedules == 1
    assert report.findings[0].mistake is Mistake.UNENDED


def test_what_waits_for_one_that_never_ends_is_not_blamed() -> None:
    class Pair(acme.MakePair):
        def child(self, name: str) -> Command[Any]:
            if name == "left":
                return NeverEnds(provider=self.provider, name=name)
            return super().child(name)

    report = verify(Pair(), world=FakeAcme(), check=False)
    (finding,) = report.findings
    assert (finding.mistake, finding.command) == (Mistake.UNENDED, "NeverEnds")


class Fails(acme.MakeThing):
    def prepare(self, ctx: Ctx) -> Any:
        raise ValueError("nothing fits")


def test_what_does_not_go_well_undisturbed_is_said_at_once() -> None:
    report = verify(Fails(), world=FakeAcme(), check=False)
    (finding,) = report.findings
    assert (report.schedules, finding.mistake) == (1, Mistake.ENDS_BADLY)
    assert "nothing fits" in finding.text


class Misspelt(acme.MakeMarkedThing):
    def send(self, ctx: Ctx) -> Any:
        return ctx.connect(acme.Things).craete(self.name)  # type: ignore[attr-defined]


def test_what_is_held_undisturbed_is_said_at_once() -> None:
    """A command that never works keeps no promise."""
    report = verify(Misspelt(), world=FakeAcme(), check=False)
    (finding,) = report.findings
    assert (report.schedules, finding.mistake) == (1, Mistake.ENDS_BADLY)
    assert "Misspelt.send raised AttributeError" in finding.text


def test_an_error_while_asking_is_no_mistake_where_all_goes_well() -> None:
    late = acme.MakeThingShownLate()
    assert verify(late, world=FakeAcme(), replay="undisturbed").ok


def test_what_a_method_raised_does_not_hide_another_mistake() -> None:
    command, world = acme.FinishesBadlyToo(), FakeAcme()
    report = verify(command, world=world, replay="undisturbed", check=False)
    (finding,) = report.findings
    assert finding.mistake is Mistake.NO_TOKEN
    assert "finish raised KeyError" in finding.told[0]


def test_what_a_method_raised_does_not_hide_a_broken_invariant(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(RULES, "a rule", lambda tx: iter(["it is broken"]))
    report = verify(Misspelt(), world=FakeAcme(), check=False)
    mistakes = [finding.mistake for finding in report.findings]
    assert mistakes == [Mistake.ENDS_BADLY, Mistake.BROKEN]


def test_an_error_of_what_went_well_is_not_why_the_rest_did_not() -> None:
    world, leaves = FakeAcme(), [acme.MakeThingShownLate, acme.Fails]
    command = acme.FailsBesideAnother()
    report = verify(command, world=world, may_leave=leaves, check=False)
    (finding,) = report.findings
    assert finding.mistake is Mistake.ENDS_BADLY
    assert "There is no paint" in finding.text


class ForgetsReturn(acme.MakeThing):
    def send(self, ctx: Ctx) -> Any:
        super().send(ctx)


def test_an_answer_that_is_thrown_away_is_said_at_once() -> None:
    """It is found again each time, and costs a question each time."""
    report = verify(
        ForgetsReturn(), world=FakeAcme(), replay="undisturbed", check=False
    )
    (finding,) = report.findings
    assert "returned None instead of the provider's handle" in finding.text


def test_what_never_ends_says_whose_it_is_and_what_it_waits_for() -> None:
    class Pair(acme.MakePair):
        def child(self, name: str) -> Command[Any]:
            return NeverEnds(provider=self.provider, name=name)

    report = verify(Pair(), world=FakeAcme(), check=False)
    (finding,) = report.findings
    assert (finding.mistake, finding.command) == (Mistake.UNENDED, "NeverEnds")
    assert "NeverEnds is waiting: on it for ever" in finding.text


class TwoSites(acme.MakePair):
    def child(self, name: str) -> Command[Any]:
        return acme.MakeThing(provider=name, name=name)


def test_several_worlds_by_name() -> None:
    worlds = {"left": FakeAcme(), "right": FakeAcme()}
    command = TwoSites(provider="left")
    leaves = [acme.MakeThing]
    report = verify(command, worlds=worlds, may_leave=leaves, replay="lose=2")
    assert [len(world.effects()) for world in worlds.values()] == [1, 1]
    assert report.effects == 4
    report = verify(command, worlds=worlds, replay="refuse=2", check=False)
    assert "right: Things.create" in report.findings[0].when


def test_a_command_is_made_anew_for_each_schedule() -> None:
    made: list[Command[Any]] = []

    def make() -> Command[Any]:
        made.append(acme.MakeThing(name=f"box-{len(made)}"))
        return made[-1]

    report = verify(make, world=FakeAcme(), replay="lose=1")
    assert len(made) >= report.schedules


class NeedsRow(acme.MakeThing):
    def check(self, tx: Any) -> None:
        if tx.tenant_named("world", "acme") is None:
            raise Rejected("There is no tenant.")


def test_rows_that_must_be_there_are_given() -> None:
    with pytest.raises(Rejected, match="no tenant"):
        verify(NeedsRow(), world=FakeAcme(), schedules=0)

    def given(tx: Any) -> None:
        tx.add_tenant("acme", provider="world", external_id="t-1")

    assert verify(NeedsRow(), world=FakeAcme(), given=given, replay="lose=1").ok


class LosesPatience(acme.MakeThing):
    """Only what two disturbances make of it is wrong."""

    def send(self, ctx: Ctx) -> str:
        patient = ctx.task.attempt < 3
        return ctx.connect(acme.Things).create(
            self.name, token=ctx.token if patient else ""
        )


def test_of_what_a_plan_meets_again_and_again_a_share_is_enough() -> None:
    with trials_of(acme.MakePair, {"world": FakeAcme()}, lambda tx: None, ()) as whole:
        kills = len(whole.undisturbed())
    report = verify(acme.MakePair(), world=FakeAcme(), schedules=0, share=100)
    assert 20 < report.kills < kills / 1.5


@pytest.mark.parametrize("share", [1, 2, 5, 100])
def test_a_share_has_something_of_every_name(share: int) -> None:
    every = [*"ab" * 20, "c", *"da" * 3]
    chosen = list(share_of(every, share))
    assert {every[number] for number in chosen} == set("abcd")
    assert chosen == sorted(set(chosen))
    assert share > 1 or len(chosen) == len(every)
    assert len(chosen) <= 4 + len(every) / share


def test_what_only_a_pair_shows_is_drawn_and_played_again() -> None:
    report = verify(LosesPatience(), world=FakeAcme(), schedules=30, check=False)
    (finding,) = report.findings
    assert finding.mistake is Mistake.NO_TOKEN
    assert " " in finding.schedule
    wanted = finding.schedule
    again = verify(LosesPatience(), world=FakeAcme(), replay=wanted, check=False)
    assert told(again.findings[0]) == told(finding)


def test_what_cannot_be_run_is_refused_in_words() -> None:
    with pytest.raises(BadInput, match="needs a world"):
        verify(acme.MakeThing())
    with pytest.raises(BadInput, match="no word of a schedule"):
        verify(acme.MakeThing(), world=FakeAcme(), replay="lose=x")
    with pytest.raises(BadInput, match="one in so many"):
        verify(acme.MakeThing(), world=FakeAcme(), share=0)


def test_the_commands_are_left_as_they_were() -> None:
    before = dict(vars(acme.MakeThing))
    verify(acme.MakeThing(), world=FakeAcme(), replay="undisturbed")
    assert {name: vars(acme.MakeThing)[name] for name in ("send", "find", "poll")} == {
        name: before[name] for name in ("send", "find", "poll")
    }


class RefusesTaken(acme.MakeThing):
    """Its own `check` keeps a second one of the name out."""

    def check(self, tx: Any) -> None:
        if tx.tenant_named("world", self.name) is not None:
            raise NameTaken(f"There is a {self.name}.")

    def finish(self, tx: Any, result: str) -> None:
        tx.add_tenant(self.name, provider="world", external_id=result)

    def undo(self, tx: Any, job: str) -> ExternalJob[Any] | None:
        return acme.RemoveThing(provider=self.provider, thing=job)


def test_a_command_that_refuses_to_run_twice_is_verified_too() -> None:
    world = FakeAcme()

    def given(tx: Any) -> None:
        """What is at the site is in our rows."""
        for thing in world.things.all():
            tx.add_tenant(thing.name, provider="world", external_id=thing.id)

    command = RefusesTaken()
    assert verify(command, world=world, given=given, replay="strangers drop=1").ok
    assert verify(RefusesTaken(), world=FakeAcme(), replay="finish=1").ok
