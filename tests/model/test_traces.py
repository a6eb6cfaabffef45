"""What the engine does under kills is a behaviour of the model; and what no engine may
do is none."""

from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from earmark.engine import judge, note
from earmark.engine.runtime import Engine
from earmark.store.sends import LONG_AGO
from earmark.testing.drive import Driver
from earmark.testing.instants import instants_of
from earmark.testing.schedule import Schedule
from tests.crash.cases import SCRIPTED
from tests.crash.schedules import Case, Schedules
from tests.model.state import Config
from tests.model.trace import Conformance, Event, Recorder, Rows, Seen

Record = Callable[[str, object], None]
#: A machine that has other things to do takes several times as long.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
#: At most so many schedules of a case, of its kills evenly: most of them on SQLite, for
#: the rows are the same.
MOST, MOST_ON_POSTGRES = 40, 3
CASES = {case.name: case for case in SCRIPTED}
CLASSES = ("token", "identity", "tag", "absolute", "tasks", "none")
OTHERS = {"throttled": "tag", "refused": "tag", "failed at the provider": "token"}


class Stand:
    """An engine that is recorded while schedules are run on it."""

    def __init__(self, engine: Engine, schedules: Schedules, seen: Seen) -> None:
        self.engine = engine
        self.schedules = schedules
        self.recorder = seen.recorder

    def traces(
        self, case: Case, *kills: int, late: bool = False, cancel_at: int | None = None
    ) -> list[list[Event]]:
        """What was recorded of each effect of one schedule."""
        self.schedules.run(case, Schedule(kills, late=late, cancel_at=cancel_at))
        return list(self.recorder.events.values())


@pytest.fixture
def stand(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stand]:
    recorder = Recorder(engine)
    monkeypatch.setattr(engine.database, "write", recorder.write)
    seen = Seen(engine, recorder)
    with instants_of(engine, engine.commands) as instants:
        yield Stand(engine, Schedules(Driver(engine, seen, instants)), seen)


def model_of(effect: str, *, kills: int = 0, cancel: bool = False) -> Conformance:
    """The model with what a schedule may do, and nothing else."""
    config = Config(
        effect, crashes=kills, cancel=cancel, most_sends=4, person=False, forgets=False
    )
    return Conformance(config)


@pytest.mark.parametrize("name", [*CLASSES, *OTHERS])
def test_one_kill_is_a_behaviour_of_the_model(
    stand: Stand, name: str, record_property: Record
) -> None:
    case, effect = CASES[name], OTHERS.get(name, name)
    undisturbed, killed = model_of(effect), model_of(effect, kills=1)
    instants = list(stand.schedules.run(case))
    (trace,) = stand.recorder.events.values()
    assert not undisturbed.refused(trace)
    schedules = [(at, False) for at in range(len(instants))]
    begins = [at for at, name in enumerate(instants) if name.endswith(".send begins")]
    schedules += [(at, True) for at in begins]
    on_sqlite = stand.engine.database.file is not None
    every = -(-len(schedules) // (MOST if on_sqlite else MOST_ON_POSTGRES))
    events = 0
    for at, late in [*schedules[::every], (begins[0], True)]:
        for trace in stand.traces(case, at, late=late):
            why = killed.refused(trace)
            assert not why, f"{case}, killed at {at}: {instants[at]}, {late=}\n{why}"
            events += len(trace)
    record_property("events", events)


@pytest.mark.parametrize("effect", ["token", "tag"])
def test_a_cancel_is_a_behaviour_of_the_model(stand: Stand, effect: str) -> None:
    case, model = CASES[effect], model_of(effect, cancel=True, kills=1)
    at = stand.schedules.run(case).index("send.committed")
    for boundary in range(6):
        for kills in ((), (at,)):
            for trace in stand.traces(case, *kills, cancel_at=boundary):
                why = model.refused(trace)
                assert not why, f"{case}, {kills}, cancelled at {boundary}\n{why}"


PLANNED = Rows("planned", task="running")
SENDING = Rows("sending", task="running", sent_before=True, sends=((False, False),))
BOUND = Rows(
    "bound", task="waiting", sent_before=True, named=True, sends=((True, True),)
)
DOUBT = Rows("in_doubt", task="waiting", sent_before=True, sends=((False, False),))
GONE = DOUBT._replace(sends=((True, False),))
ENDED = Rows("settled", good=True)
DROPPED = Rows("dropped")
ONCE: list[Event] = [PLANNED, SENDING, "bytes", "made", BOUND]
LOST: list[Event] = [PLANNED, SENDING, "bytes", DOUBT, GONE]
FORGED: dict[str, tuple[str, list[Event]]] = {
    "bound without a send": ("tag", [PLANNED, BOUND]),
    "bytes before the intent": ("tag", [PLANNED, "bytes"]),
    "bound before it is made": ("tag", [PLANNED, SENDING, "bytes", BOUND]),
    "in doubt out of nothing": ("token", [PLANNED, DOUBT]),
    "settled after it was dropped": ("tag", [PLANNED, DROPPED, ENDED]),
    "settled without being followed": ("tag", [PLANNED, SENDING, "bytes", ENDED]),
    "sent twice without a look": (
        "tag",
        [*LOST, "time", GONE._replace(effect="planned", task="queued")],
    ),
    "sent again before the horizon": (
        "tag",
        [*LOST, "look", GONE._replace(effect="planned", task="queued")],
    ),
    "sent again while the sender lives": (
        "tag",
        [*LOST[:4], "look", DOUBT._replace(effect="planned", task="queued")],
    ),
    "cleared for the same token, of class tag": (
        "tag",
        [*LOST, "look", GONE._replace(resend=True, task="queued")],
    ),
    "made again with the same token": ("token", [*ONCE, "made"]),
    "an end that was not there": ("token", [*LOST, "look", ENDED]),
    "adopted unseen": ("tag", [*LOST, "made", BOUND._replace(sends=GONE.sends)]),
    "made without its bytes": ("tag", [PLANNED, SENDING, "made"]),
}
#: The same as they should be.
GENUINE: dict[str, tuple[str, list[Event]]] = {
    "once": ("tag", [*ONCE, ENDED]),
    "only silent, then late": ("tag", [PLANNED, SENDING, DOUBT, "time", GONE]),
    "sent again after the horizon": (
        "tag",
        [*LOST, "time", "look", GONE._replace(effect="planned", task="queued")],
    ),
    "cleared for the same token": (
        "token",
        [*LOST, "look", GONE._replace(resend=True, task="queued")],
    ),
    "adopted": ("tag", [*LOST, "made", "look", BOUND._replace(sends=GONE.sends)]),
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_trace_is_refused(name: str) -> None:
    effect, trace = FORGED[name]
    assert f"  ! {trace[-1]}" in model_of(effect, kills=1).refused(trace)


@pytest.mark.parametrize("name", GENUINE)
def test_a_genuine_one_is_not(name: str) -> None:
    effect, trace = GENUINE[name]
    assert not model_of(effect, kills=1).refused(trace)


def rejected(stand: Stand, effect: str, at: str, **more: bool) -> str:
    """Kill at an instant; why the model refuses what the engine then does."""
    number = list(stand.schedules.run(CASES[effect])).index(at)
    # The schedule's own eyes may see it too; here it is the model's.
    with suppress(AssertionError):
        stand.traces(CASES[effect], number, **more)
    (trace,) = stand.recorder.events.values()
    return model_of(effect, kills=1).refused(trace)


def test_an_engine_without_the_horizon_is_caught(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not rejected(stand, "tag", "send.committed")
    monkeypatch.setattr(judge, "landed_by", lambda made, in_flight: LONG_AGO)
    assert "planned" in rejected(stand, "tag", "send.committed")


def test_an_engine_without_rule_12_is_caught(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not rejected(stand, "absolute", "send.answered")
    monkeypatch.setattr(note, "may_land_until", lambda check: None)
    assert "settled" in rejected(stand, "absolute", "send.answered")
