"""The audit at the end of a block, when all is calm: nothing lost, doubled, stuck or
unexplained, every invariant holds, and what people are shown is what is so."""

import random
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress

import sqlalchemy as sa

from earmark.commands import RefreshProvider
from earmark.domain.states import TaskState
from earmark.engine.explain import waiting_for
from earmark.engine.runtime import Engine
from earmark.store import tasks as rows
from earmark.store.database import Transaction
from earmark.store.schema import placeholders, task_log, tasks
from earmark.testing import invariants
from tests.peers.lab import LabProcess, eventually
from tests.soak import compare, patience
from tests.soak.estate import Estate
from tests.soak.people import People

#: Why a task may rightly be left to a person.
_FORGOTTEN = "the lab forgot its job, and nothing shows what became of it"
_POISON = "too many workers were killed while running it"
_SPEAKS_FOR_ITSELF = (TaskState.RUNNING, TaskState.DONE)
_SAMPLE = 25
#: How long after the storm all must have ended: longer than any call's deadline, on a
#: machine that has much else to do.
_CALM_SECONDS = 120.0


def silent(engine: Engine) -> list[str]:
    """Unfinished tasks that do not say what they wait for (invariant 10)."""
    # Rows are read one after the other while all goes on: what is between two states
    # at one look is not at the next.
    return sorted(set(_silent(engine)) & set(_silent(engine)))


def _silent(engine: Engine) -> list[str]:
    def work(tx: Transaction) -> list[str]:
        unfinished = tx.execute(sa.select(tasks.c.id).where(tasks.c.state != "done"))
        shown = list(rows.by_ids(tx, unfinished.scalars()).values())
        told = waiting_for(tx, shown)
        return [
            f"stuck: {task.title} ({task.id}) is {task.state}, and says not for what"
            for task in shown
            if task.state not in _SPEAKS_FOR_ITSELF and task.id not in told
        ]

    return engine.read(work)


def overdue(engine: Engine) -> list[str]:
    """Calls that only their deadline ended. None here takes so long: whoever had one
    was killed, stopped or cut off, and that is to be noticed much earlier."""
    said = task_log.c.text == "Recovered: its call ran past its deadline."
    query = sa.select(task_log.c.task_id, task_log.c.at).where(said)
    found = engine.read(lambda tx: tx.execute(query).all())
    return [f"stuck: {it.task_id} until {it.at:%H:%M:%S}, its deadline" for it in found]


def held(engine: Engine, at: compare.AtLab) -> tuple[Counter[str], list[str]]:
    """Held tasks by their cause; and those whose cause is none that may be."""
    causes: Counter[str] = Counter()
    wrong = []
    both = sa.select(tasks, placeholders.c.id.label("token"))
    both = both.join(placeholders, placeholders.c.task_id == tasks.c.id)
    found = both.where(tasks.c.state == "held")
    for row in engine.read(lambda tx: list(tx.execute(found))):
        forgot = re.search(r"does not know .*, nor shows it", row.message)
        if "workers were lost while running this" in row.message:
            causes[_POISON] += 1
        elif forgot and row.token in at.forgotten:
            causes[_FORGOTTEN] += 1
        else:
            wrong.append(f"held: {row.title} ({row.id}): {row.message}")
    return causes, wrong


def ended(engine: Engine, lab: LabProcess) -> list[str]:
    """Wait until everything has ended or is held; tells what has not. What waits for a
    state that a forgotten job was to bring about is not waited for: its patience is
    spent at once."""
    aged: set[str] = set()

    def calm() -> bool:
        if not compare.quiet(lab):
            return False
        aged.update(patience.spend(engine, compare.forgotten(lab) - aged))
        return not invariants.unended(engine)

    with suppress(AssertionError):  # told below
        eventually(calm, seconds=_CALM_SECONDS)
    restless = [] if compare.quiet(lab) else ["stuck: the lab does not come to rest"]
    return [*restless, *(f"stuck: {what}" for what in invariants.unended(engine))]


def refreshed(estate: Estate) -> list[str]:
    """Let the inventory be read anew from a lab that keeps still."""
    task = estate.house.ask(RefreshProvider(provider="lab"))
    over = estate.house.end_of(task)
    return [] if over.outcome == "ok" else [f"lost: {over.title}: {over.message}"]


def broken(estate: Estate, at: compare.AtLab, *, lying: bool) -> list[str]:
    """Every invariant. A lab that lies does twice what was promised once."""
    done = Counter(it["token"] for it in at.effects)
    told = invariants.broken_at_provider(estate.engine, done)
    found = [*invariants.broken(estate.engine), *told]
    return [it for it in found if not (lying and it.startswith("one effect per"))]


def answers(
    estate: Estate, people: People, at: compare.AtLab, seed: int
) -> Iterator[str]:
    """What REST says now: the same task for the same key, and what the rows say."""
    luck = random.Random(seed)
    keyed = [it for it in people.asked if it.task_id and it.deed.kind != "cancel"]
    for it in luck.sample(keyed, min(_SAMPLE, len(keyed))):
        again = people.repeat(it)
        if again != it.task_id:
            yield f"doubled: {it}, and asked again with its key it is {again}"
    known = {row.id: row for row in estate.engine.read(_all_tasks)}
    for task_id in luck.sample(sorted(known), min(_SAMPLE, len(known))):
        shown, row = people.get(f"/tasks/{task_id}"), known[task_id]
        for name in ("state", "outcome", "message", "progress", "attempt"):
            if shown[name] != getattr(row, name):
                yield f"untrue: {task_id}: {name} is shown as {shown[name]}"
    shown = {it["name"]: it["power_state"] for it in people.get("/vms")}
    there = {it["name"]: it["power_state"] for it in at.lists["vms"].values()}
    if shown != there:
        yield f"untrue: VMs are shown as {shown}, and are {there}"


def _all_tasks(tx: Transaction) -> list[sa.Row[tuple[object, ...]]]:
    return list(tx.execute(sa.select(tasks)))
