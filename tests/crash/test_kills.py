"""Killed at every instant of every command, and again at every instant of what follows,
inside the process and on both stores (invariants 1 to 10). Of a big plan at every
boundary, on PostgreSQL at some of each kind of boundary, and at some drawn instants
between them; `make kills` has them all.

What a kill is here: an exception that nobody catches, in the thread that works; see
`earmark.testing.instants`. `tests/acceptance/test_crashes.py` has the real ones.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from earmark import commands
from earmark.engine.boundary import BOUNDARIES
from earmark.engine.registry import Commands
from earmark.engine.runtime import Engine
from earmark.providers.lab import calls
from earmark.testing.drive import Driver
from earmark.testing.instants import boundaries, instants_of
from earmark.testing.schedule import Schedule
from tests.conftest import BOTH_STORES
from tests.crash.cases import PRODUCT, SCRIPTED
from tests.crash.drawn import (
    FEWER,
    INSTANTS,
    MOST,
    SEED,
    SHARE,
    SOAK,
)
from tests.crash.inside import Faithful, InsideLab
from tests.crash.schedules import Case, Schedules

Record = Callable[[str, object], None]
#: Seconds: each of these tests runs up to some hundred schedules.
pytestmark = pytest.mark.timeout(900)
#: The others are slow.
EVERY_DAY = {"token", "none", "two in turn"}
#: On SQLite `tests/testing/test_product.py` kills and cancels at such instants, too.
not_verified = pytest.mark.parametrize(
    "database_url", BOTH_STORES if SOAK else BOTH_STORES[1:], indirect=True
)


@pytest.fixture
def scripted(engine: Engine, record_property: Record) -> Iterator[Schedules]:
    """Schedules against the faithful provider."""
    provider = Faithful(engine)
    with instants_of(engine, engine.commands) as instants:
        schedules = Schedules(Driver(engine, provider, instants))
        yield schedules
    record_property("schedules", schedules.tried)


@pytest.fixture
def product(
    engine: Engine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Record,
) -> Iterator[Schedules]:
    """Schedules of the product's commands against the lab's own code."""
    with (
        InsideLab(engine, tmp_path / "lab") as provider,
        instants_of(engine, engine.commands) as instants,
    ):
        monkeypatch.setattr(calls, "exchange", provider.exchange)
        schedules = Schedules(Driver(engine, provider, instants))
        yield schedules
    record_property("schedules", schedules.tried)


@dataclass(frozen=True)
class Amounts:
    """How much is tried on a store. What lies between two boundaries is the same code
    on both: on one of them some of it will do."""

    every_instant: bool
    share: int
    elsewhere: int
    drawn: int


@pytest.fixture
def amounts(database_url: str) -> Amounts:
    if SOAK or database_url.startswith("sqlite"):
        return Amounts(True, 1, INSTANTS, MOST)
    return Amounts(False, SHARE, MOST, FEWER)


def small(cases: Iterable[Case]) -> list[Case]:
    return [case for case in cases if not case.big]


def big(cases: Iterable[Case]) -> list[Case]:
    return [case for case in cases if case.big]


def daily(cases: Iterable[Case]) -> Iterator[Any]:
    """The cases, all but a few of them slow."""
    for case in cases:
        marks = [] if case.name in EVERY_DAY else [pytest.mark.slow]
        yield pytest.param(case, id=case.name, marks=marks)


@pytest.mark.parametrize("case", list(daily(small(SCRIPTED))))
def test_one_kill_anywhere(scripted: Schedules, case: Case, amounts: Amounts) -> None:
    _kill_anywhere(scripted, case, amounts)


@not_verified
@pytest.mark.slow
@pytest.mark.parametrize("case", small(PRODUCT), ids=str)
def test_one_kill_anywhere_in_the_product(
    product: Schedules, case: Case, amounts: Amounts
) -> None:
    _kill_anywhere(product, case, amounts)


def _kill_anywhere(schedules: Schedules, case: Case, amounts: Amounts) -> None:
    if amounts.every_instant:
        schedules.every_kill(case)
        return
    schedules.every_kill(case, BOUNDARIES.__contains__)
    schedules.drawn_kills(case, amounts.drawn, SEED)


@pytest.mark.slow
@pytest.mark.parametrize("case", big(SCRIPTED), ids=str)
def test_one_kill_at_a_boundary(
    scripted: Schedules, case: Case, amounts: Amounts
) -> None:
    scripted.every_kill(case, BOUNDARIES.__contains__, amounts.share)


@not_verified
@pytest.mark.slow
@pytest.mark.parametrize("case", big(PRODUCT), ids=str)
def test_one_kill_at_a_boundary_of_the_product(
    product: Schedules, case: Case, amounts: Amounts
) -> None:
    product.every_kill(case, BOUNDARIES.__contains__, amounts.share)


@pytest.mark.slow
@pytest.mark.parametrize("case", big(SCRIPTED), ids=str)
def test_one_kill_elsewhere(scripted: Schedules, case: Case, amounts: Amounts) -> None:
    scripted.drawn_kills(case, amounts.elsewhere, SEED)


@not_verified
@pytest.mark.slow
@pytest.mark.parametrize("case", big(PRODUCT), ids=str)
def test_one_kill_elsewhere_in_the_product(
    product: Schedules, case: Case, amounts: Amounts
) -> None:
    product.drawn_kills(case, amounts.elsewhere, SEED)


@pytest.mark.slow
@pytest.mark.parametrize("case", SCRIPTED, ids=str)
def test_two_kills_anywhere(scripted: Schedules, case: Case, amounts: Amounts) -> None:
    scripted.drawn_pairs(case, amounts.drawn, SEED)


@pytest.mark.slow
@pytest.mark.parametrize("case", PRODUCT, ids=str)
def test_two_kills_anywhere_in_the_product(product: Schedules, case: Case) -> None:
    product.drawn_pairs(case, FEWER, SEED)


@pytest.mark.slow
@pytest.mark.parametrize("case", SCRIPTED, ids=str)
def test_cancelled_at_a_boundary(
    scripted: Schedules, case: Case, amounts: Amounts
) -> None:
    scripted.every_cancel(case, amounts.share)


@not_verified
@pytest.mark.slow
@pytest.mark.parametrize("case", PRODUCT, ids=str)
def test_the_product_cancelled_at_a_boundary(
    product: Schedules, case: Case, amounts: Amounts
) -> None:
    product.every_cancel(case, amounts.share)


@pytest.mark.slow
@pytest.mark.parametrize("case", SCRIPTED, ids=str)
def test_cancelled_and_killed(
    scripted: Schedules, case: Case, amounts: Amounts
) -> None:
    scripted.drawn_cancels_and_kills(case, amounts.drawn, SEED)


@pytest.mark.slow
@pytest.mark.parametrize("case", PRODUCT, ids=str)
def test_the_product_cancelled_and_killed(product: Schedules, case: Case) -> None:
    product.drawn_cancels_and_kills(case, FEWER, SEED)


def test_every_command_is_killed() -> None:
    """A new command comes with a line in `cases.PRODUCT`."""
    known = Commands()
    known.register_module(commands.__name__)
    killed = {name for case in PRODUCT for name in case.runs}
    assert {command.__name__ for command in known} == killed


@pytest.mark.slow
def test_every_boundary_is_met(scripted: Schedules) -> None:
    met: set[str] = set()
    for case in SCRIPTED:
        instants = list(scripted.run(case))
        met.update(instants)
        if case.name == "token":
            # Only what is in doubt is probed.
            at = instants.index("send.committed")
            met.update(scripted.run(case, Schedule((at,))))
        if case.name == "stoppable":
            at = boundaries(instants[: instants.index("bind.committed")])
            met.update(scripted.run(case, Schedule(cancel_at=at)))
    assert set(BOUNDARIES) <= met
