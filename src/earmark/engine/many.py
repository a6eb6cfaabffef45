"""Many: what a person asks of several tasks at once. Each is asked by itself, so that
one that cannot be stands in nobody's way; what came of it is kept, to be told."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from earmark.domain.errors import BadInput, Rejected, UnknownName
from earmark.domain.task import Task
from earmark.engine import retry as retrying
from earmark.engine.cancel import cancel, offer, refusal
from earmark.engine.forget import forget, refusals
from earmark.engine.runtime import Engine
from earmark.store import journal, tasks
from earmark.store.database import Transaction

#: Of those that were refused, how many are told by name.
TOLD = 5


class Deed(StrEnum):
    """What can be asked of several tasks at once."""

    CANCEL = "cancel"
    RETRY = "retry"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a deed means for some of the tasks; `refused`: it cannot be done to them."""

    text: str
    tasks: tuple[Task, ...]
    refused: bool


def deed_of(word: str) -> Deed:
    """Read a deed; raises `BadInput`."""
    if word not in list(Deed):
        raise BadInput(
            f"Nothing called {word[:40]!r} can be done to many tasks.",
            hint=f"There are: {', '.join(Deed)}.",
            fields={"verb": "is unknown"},
        )
    return Deed(word)


def foresee(tx: Transaction, deed: Deed, ids: Sequence[str]) -> list[Meaning]:
    """Say beforehand what a deed will mean, the tasks that it means the same for
    together, the most first; what cannot be comes last. Unknown ids are left out."""
    there = tasks.by_ids(tx, ids)
    asked = [there[one] for one in ids if one in there]
    grouped: dict[tuple[bool, str], list[Task]] = {}
    for task, (text, refused) in zip(asked, _meanings(tx, deed, asked), strict=True):
        grouped.setdefault((refused, text), []).append(task)
    order = sorted(grouped.items(), key=lambda it: (it[0][0], -len(it[1])))
    return [Meaning(text, tuple(them), refused) for (refused, text), them in order]


def _meanings(
    tx: Transaction, deed: Deed, asked: Sequence[Task]
) -> list[tuple[str, bool]]:
    if deed is Deed.CANCEL:
        return [_of_cancel(tx, task) for task in asked]
    if deed is Deed.DELETE:
        kept = refusals(tx, asked)
        gone = "It is deleted for good, with its parts and logs."
        return [(kept.get(task.id, gone), task.id in kept) for task in asked]
    whys = [retrying.refusal(tx, task) for task in asked]
    again = "The same is asked for again, as a new task."
    return [(why or again, bool(why)) for why in whys]


def _of_cancel(tx: Transaction, task: Task) -> tuple[str, bool]:
    offered = offer(tx, task)
    if offered is not None:
        return offered.text, False
    return refusal(task), True


def carry_out(
    engine: Engine, deed: Deed, ids: Sequence[str], who: str, deed_id: str
) -> None:
    """Do it to each of the tasks, and write down what came of it under `deed_id`, a
    UUIDv7 of when it was asked for; the same one again changes nothing."""
    if engine.read(lambda tx: journal.deed(tx, deed_id)) is not None:
        return
    one = _one(engine, deed, who, deed_id)
    titles = {
        task_id: task.title
        for task_id, task in engine.read(lambda tx: tasks.by_ids(tx, ids)).items()
    }
    refused = []
    for task_id in ids:
        try:
            one(task_id)
        except UnknownName:
            refused.append((task_id, "It is not there any more."))
        except (Rejected, BadInput) as error:
            refused.append((task_id, str(error)))
    # Sent twice, or again after a crash: what was done for it already is no refusal.
    ids_refused = [task_id for task_id, _ in refused]
    before = engine.read(
        lambda tx: journal.done_since(tx, who, deed, ids_refused, deed_id)
    )
    refused = [it for it in refused if it[0] not in before]
    told = [
        {"task": task_id, "title": titles.get(task_id, task_id), "why": why}
        for task_id, why in refused[:TOLD]
    ]
    data = {
        "done": len(ids) - len(refused),
        "refused": len(refused),
        "told": told,
        "tasks": list(ids),
    }
    engine.write(lambda tx: journal.note_deed(tx, deed_id, who, f"{deed}-many", data))


def _one(engine: Engine, deed: Deed, who: str, deed_id: str) -> Callable[[str], object]:
    if deed is Deed.CANCEL:
        return lambda task_id: cancel(engine, task_id, who)
    if deed is Deed.DELETE:
        return lambda task_id: forget(engine, task_id, who)

    def again(task_id: str) -> None:
        key = f"{deed_id}:{task_id}"
        retrying.retry(engine, task_id, who, key=key)

    return again
