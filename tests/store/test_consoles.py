"""A console's ticket: good once, for one browser and one VM, for thirty seconds."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import sqlalchemy as sa

from earmark.commands.console import TAKEN_OVER, OpenConsole
from earmark.domain.console import Console, ConsoleState
from earmark.domain.errors import Rejected, UnknownName
from earmark.domain.ids import new_id
from earmark.domain.secret import Secret
from earmark.engine.attend import Attendants
from earmark.engine.enqueue import transact
from earmark.engine.runtime import Engine
from earmark.store import consoles
from earmark.store.database import Transaction
from earmark.store.schema import consoles as table

VM = new_id()
GOOD = {"vm_id": VM, "session": "ann", "ticket": "secret"}


def issued(engine: Engine, vm: str = VM) -> str:
    console = new_id()
    engine.write(
        lambda tx: consoles.issue(
            tx, console, vm_id=vm, provider_id="p", session="ann", ticket="secret"
        )
    )
    return console


def claim(engine: Engine, console: str, **other: str) -> bool:
    values = GOOD | {"address": "http://here"} | other
    return engine.write(lambda tx: consoles.claim(tx, console, **values))


def get(engine: Engine, console: str) -> Console:
    return engine.read(lambda tx: consoles.get(tx, console))


def move(engine: Engine, console: str, **columns: timedelta) -> None:
    """Move times of a row, as if they were so much later or earlier than now."""

    def work(tx: Transaction) -> None:
        values = {name: tx.now + by for name, by in columns.items()}
        tx.execute(sa.update(table).where(table.c.id == console).values(**values))

    engine.write(work)


def test_of_many_who_use_a_ticket_at_once_one_succeeds(engine: Engine) -> None:
    console = issued(engine)
    together = threading.Barrier(8)

    def use(number: int) -> bool:
        together.wait(10)
        return claim(engine, console, address=f"http://{number}")

    with ThreadPoolExecutor(8) as pool:
        used = list(pool.map(use, range(8)))
    assert used.count(True) == 1
    found = get(engine, console)
    assert found.state is ConsoleState.CLAIMED
    assert found.address == f"http://{used.index(True)}"


@pytest.mark.parametrize(
    "other", [{"session": "bob"}, {"ticket": "guess"}, {"vm_id": "another"}]
)
def test_a_ticket_is_nobody_elses(engine: Engine, other: dict[str, str]) -> None:
    console = issued(engine)
    assert not claim(engine, console, **other)
    assert claim(engine, console), "and a bad try does not use it up"


def test_a_ticket_is_good_for_thirty_seconds(engine: Engine) -> None:
    console = issued(engine)
    move(engine, console, expires_at=timedelta(seconds=-1))
    assert not claim(engine, console)
    console = issued(engine)
    row = engine.read(
        lambda tx: tx.execute(sa.select(table).where(table.c.id == console)).one()
    )
    assert row.expires_at - row.created_at <= timedelta(seconds=30)


def test_a_ticket_and_a_session_are_kept_as_hashes(engine: Engine) -> None:
    issued(engine)
    row = engine.read(lambda tx: tx.execute(sa.select(table)).one())
    assert "secret" not in str(row)
    assert "ann" not in (row.session_hash, row.ticket_hash)


def test_who_looks_is_known_while_its_web_process_says_so(engine: Engine) -> None:
    first, second = issued(engine), issued(engine)
    assert claim(engine, first)

    def others() -> list[str]:
        found = engine.write(lambda tx: consoles.others_on(tx, VM, second))
        return [it.id for it in found]

    assert others() == [first]
    move(engine, first, seen_at=-consoles.QUIET)
    assert others() == []
    engine.write(lambda tx: consoles.touch(tx, [first]))
    assert others() == [first]
    engine.write(lambda tx: consoles.end(tx, [first], TAKEN_OVER))
    assert others() == []
    assert engine.read(lambda tx: consoles.ended_among(tx, [first, second])) == {
        first: TAKEN_OVER
    }


def test_an_end_keeps_its_first_reason(engine: Engine) -> None:
    console = issued(engine)
    claim(engine, console)
    assert engine.write(lambda tx: consoles.end(tx, [console], "one")) == 1
    assert engine.write(lambda tx: consoles.end(tx, [console], "two")) == 0
    assert get(engine, console).reason == "one"
    assert not engine.write(lambda tx: consoles.opened(tx, console))
    assert not claim(engine, console)


def test_what_is_over_for_an_hour_is_deleted(engine: Engine) -> None:
    hour = timedelta(hours=1)
    unused, over, fresh = (issued(engine) for _ in range(3))
    for console in (over, fresh):
        claim(engine, console)
    engine.write(lambda tx: consoles.end(tx, [over], "over"))
    move(engine, over, ended_at=-hour - timedelta(seconds=1))
    move(engine, unused, seen_at=-hour - timedelta(seconds=1))
    engine.write(lambda tx: consoles.prune(tx, tx.now - hour))
    assert get(engine, fresh).id == fresh
    for console in (unused, over):
        with pytest.raises(UnknownName):
            get(engine, console)


def test_a_console_that_nobody_waits_for_is_not_opened(engine: Engine) -> None:
    command = OpenConsole(vm=VM, console=issued(engine), relay=Secret("relay-secret"))
    with pytest.raises((Rejected, UnknownName)):
        transact(engine, lambda tx: command.enqueue(tx))


class Guest:
    """An attendant that stays until it is ended."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.gone = threading.Event()
        self.why = ""

    def run(self) -> None:
        self.over.wait(10)
        self.gone.set()

    def end(self, why: str) -> None:
        self.why = why
        self.over.set()


def test_a_worker_attends_to_so_many_and_ends_them_when_it_stops() -> None:
    attendants, guests = Attendants(most=2), [Guest() for _ in range(3)]
    for guest in guests[:2]:
        attendants.start(guest, "guest")
    with pytest.raises(Rejected, match="2 consoles already"):
        attendants.start(guests[2], "guest")
    attendants.stop("it is late")
    for guest in guests[:2]:
        assert guest.gone.wait(5)
        assert guest.why == "it is late"
    with pytest.raises(Rejected, match="it is late"):
        attendants.start(guests[2], "guest")
