"""One block: a fresh house, so many schedules close upon each other, calm, an audit."""

import re
import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa

from earmark.engine.runtime import Engine
from earmark.store import tasks as rows
from earmark.store.database import Transaction
from earmark.store.schema import placeholders, tasks
from earmark.testing import invariants
from tests.soak import audit, compare
from tests.soak.deeds import Draw, Schedule
from tests.soak.estate import Estate
from tests.soak.figures import FAULTLESS, Figures
from tests.soak.people import Asked, People
from tests.soak.storm import Storm

#: Schedules in a block, and the seconds from the begin of one to that of the next.
SIZE, PACE = 50, 0.28
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MOST_STORIES = 8


@dataclass(frozen=True, slots=True)
class Which:
    """Names a block, so that it can be drawn again."""

    seed: int
    number: int
    store: str
    size: int = SIZE
    lying: bool = False

    def __str__(self) -> str:
        kind = "lying block" if self.lying else "block"
        return f"{kind} {self.number} of seed {self.seed} on {self.store}"

    def again(self) -> str:
        """The command that runs it again."""
        lying = " --lying" if self.lying else ""
        return (
            f"python -m tests.soak --seed {self.seed} --block {self.number} "
            f"--store {self.store} --size {self.size}{lying}"
        )


@dataclass(slots=True)
class Report:
    """What a block came to: its figures, and what was wrong, if anything, with all that
    helps to find out why."""

    which: Which
    figures: Figures
    wrong: list[str] = field(default_factory=list)
    told: str = ""


def run(which: Which, url: str, folder: Path) -> Report:
    """Run a block on an empty database in an empty folder."""
    try:
        return _run(which, url, folder)
    except Exception as error:
        error.add_note(f"In {which}; run it again by: {which.again()}")
        raise


def _run(which: Which, url: str, folder: Path) -> Report:
    began = time.monotonic()
    draw = Draw(which.seed, which.number, which.store, lying=which.lying)
    schedules = draw.schedules(which.size)
    report = Report(which, Figures())
    with (
        Estate(url, folder) as estate,
        People(estate, f"{which.seed}-{which.number}") as people,
    ):
        storm = Storm(estate, people)
        finals = invariants.Finals(estate.engine)
        if which.lying:
            estate.lab.fault("ignore-tokens", verb="image.copy", times=None)
        for part in range(0, which.size, 20):
            storm.blow(schedules[part : part + 20], PACE)
            report.wrong += [f"not final: {what}" for what in finals.look()]
        storm.calm()
        report.wrong += people.in_vain()
        report.wrong += audit.silent(estate.engine)
        report.wrong += audit.ended(estate.engine, estate.lab)
        report.wrong += audit.overdue(estate.engine)
        report.wrong += _audited(estate, people, report)
        report.wrong += [f"not final: {what}" for what in finals.look()]
        report.wrong += estate.stop_workers() + estate.strange_ends()
        report.figures.done += storm.done
        _count(report, estate, people)
        if report.wrong:
            report.told = "\n".join(_story(report, estate, schedules, people.asked))
    report.figures.seconds = time.monotonic() - began
    if not report.wrong:
        shutil.rmtree(folder, ignore_errors=True)
    return report


def _audited(estate: Estate, people: People, report: Report) -> list[str]:
    wrong = audit.refreshed(estate)
    at = compare.look(estate.lab)
    report.figures.done["effects"] += len(at.effects)
    report.figures.held, not_legitimate = audit.held(estate.engine, at)
    wrong += not_legitimate
    strange = compare.unexplained(estate.engine, at)
    twice = at.doubled()
    if report.which.lying:
        # What a provider doubles although it said that it would not is listed.
        report.figures.done["lies listed"] += len(strange)
        listed = {token for it in strange for token in _ID.findall(it)}
        strange = [it for it in strange if not listed & twice.keys()]
        wrong += [f"unexplained: {it} is there twice, and not listed"
                  for it in twice.keys() - listed]  # fmt: skip
    else:
        wrong += [f"doubled: {count} effects of {it}" for it, count in twice.items()]
    wrong += strange
    wrong += compare.lost(estate.engine, at)
    wrong += compare.untrue(estate.engine, at)
    wrong += audit.broken(estate, at, lying=report.which.lying)
    wrong += audit.answers(estate, people, at, report.which.seed)
    return wrong


def _count(report: Report, estate: Estate, people: People) -> None:
    done = report.figures.done
    done["asked"] += len(people.asked)
    count = sa.select(sa.func.count()).select_from(tasks)
    ends = count.where(tasks.c.parent_id.is_(None), tasks.c.state == "done")
    done["ended"] += estate.engine.read(lambda tx: tx.execute(ends).scalar_one())
    for what, number in estate.alone.items():
        done[f"ended by itself: {what}"] += number
    for it in report.wrong:
        kind = it.partition(":")[0]
        report.figures.wrong[kind if kind in FAULTLESS else "other"] += 1


def _story(
    report: Report,
    estate: Estate,
    schedules: Iterable[Schedule],
    asked: Iterable[Asked],
) -> Iterator[str]:
    yield f"{report.which}, run again by: {report.which.again()}"
    yield "The deeds are the same then; when each meets what is under way is not."
    yield from report.wrong
    yield f"\nThe deeds of each schedule (processes' log: {estate.log}):"
    yield from map(str, schedules)
    yield "\nWhat was asked:"
    yield from map(str, asked)
    ids = {found for it in report.wrong for found in _ID.findall(it)}
    for root_id in _roots(estate.engine, ids)[:_MOST_STORIES]:
        task = estate.engine.read(lambda tx, which=root_id: rows.get(tx, which))  # type: ignore[misc]
        yield f"\n{estate.house.story(task)}"


def _roots(engine: Engine, ids: Iterable[str]) -> list[str]:
    """The roots of the tasks and of the effects among these ids."""

    def work(tx: Transaction) -> list[str]:
        wanted = list(ids)
        ours = sa.select(tasks.c.root_id).where(tasks.c.id.in_(wanted))
        theirs = sa.select(placeholders.c.root_id).where(placeholders.c.id.in_(wanted))
        found = [*tx.execute(ours).scalars(), *tx.execute(theirs).scalars()]
        return list(dict.fromkeys(found))

    return engine.read(work)
