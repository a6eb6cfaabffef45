"""What people and clocks ask for, in the model."""

from typing import Any

from earmark.domain.command import Command
from earmark.domain.connector import EffectClass
from tests.oracle import undoing
from tests.oracle.model import Model
from tests.oracle.things import Error, Task
from tests.oracle.workers import ZONES

NORMAL = 100
KEY_LIFE = 24 * 3600
#: An effect in one of these is over.
_OVER = ("settled", "refused", "dropped")


def enqueue(
    model: Model,
    command: Command[Any],
    task_id: str,
    priority: int = NORMAL,
    key: str | None = None,
    retry_of: Task | None = None,
) -> Task:
    """A new root."""
    model.asked += 1
    start = command.deadlines.start
    task = Task(
        name=f"r{model.asked}",
        id=task_id,
        command=command,
        priority=priority,
        parent=None,
        zone=ZONES[command.provider],  # type: ignore[attr-defined]
        retry_of=retry_of.name if retry_of else None,
        run_after=model.now,
        start_by=None if start is None else model.now + start,
    )
    model.roots[task.name] = task
    if key is not None:
        model.keys[key] = command, task.name
    return task


def asked_before(model: Model, command: Command[Any], key: str) -> str | None:
    """What a used key gives (rule 20): the name of its task, "reused" or "deleted";
    None for a key that is free."""
    if key not in model.keys:
        return None
    earlier, root = model.keys[key]
    if earlier != command:
        return "reused"
    return root if root in model.roots else "deleted"


def forget_old_keys(model: Model) -> int:
    """A day after the end a key is free again."""
    old = []
    for key, (_, name) in model.keys.items():
        root = model.roots.get(name)
        ended = root.finished if root else model.forgotten[name][0]
        if ended is not None and ended < model.now - KEY_LIFE:
            old.append(key)
    for key in old:
        del model.keys[key]
    return len(old)


def cancel(model: Model, root: Task) -> bool | None:
    """None when it has ended, or is being undone; False when that was asked for
    already."""
    if root.done or (root.step == "undo" and root.cancelled_by is None):
        return None
    return _stop(model, root, "person")


def _stop(model: Model, task: Task, by: str) -> bool:
    if task.cancelled_by is not None:
        return False
    model.stop(task, by)
    return True


def expire(model: Model) -> int:
    """What was not started in time ends; what runs too long is asked to stop."""
    late = [
        task
        for task in model.every()
        if task.start_by is not None and task.state == "queued"
        if task.start_by < model.now and task.started is None
    ]
    overlong = [
        task
        for task in model.every()
        if task.end_by is not None and task.end_by < model.now
        if not task.done and task.cancelled_by is None and task.step != "undo"
    ]
    for task in late:
        model.happened["not started in time"] += 1
        model.drop(task, "expired", Error("not-started"))
    for task in overlong:
        if not task.done and task.step != "undo":
            model.happened["ran too long"] += 1
            _stop(model, task, "deadline")
    return len(late) + len(overlong)


def may_retry(model: Model, root: Task) -> bool:
    """Only what has ended badly, and is not being retried."""
    tried = (one for one in model.roots.values() if one.retry_of == root.name)
    return root.done and not root.well and all(one.done for one in tried)


def resolve(model: Model, task: Task, decision: str, handle: str = "") -> bool:
    """A person's decision about a held task, or a step of an undo that waits for its
    next try; False when it is refused."""
    effect = task.effect
    if task.state != "held":
        if not undoing.may_be_left(task) or decision != "leave-behind":
            return False
        assert effect is not None
        effect.state = "dropped"
        undoing.decide(model, task, decision)
        return True
    doubtful = effect is not None and effect.state == "held"
    if doubtful == (decision in undoing.DECISIONS):
        return False
    if effect is None or not doubtful:
        undoing.decide(model, task, decision)
    elif decision == "adopt":
        if handle_taken(model, task, handle):
            return False
        effect.state, effect.handle, effect.due = "bound", handle, True
        effect.doubt_since = None
        model.rest(task)
    elif decision == "absent":
        effect.decided = effect.due = True
    elif decision == "send-again":
        if task.stop:
            return False
        effect.state, effect.due, effect.doubt_since = "planned", False, model.now
        task.state, task.run_after = "queued", model.now
    else:
        effect.state, effect.due = "watched", False
        # This step of an undo is given up: it may end badly.
        task.stop = task.stop or task.undoes is not None
        model.end(task, "interrupted", Error("watched", left=frozenset({"?"})))
    return True


def handle_taken(model: Model, task: Task, handle: str) -> bool:
    """Another effect of its kind at that provider has it. A state is anybody's."""
    mine = task.effect
    assert mine is not None
    return any(
        effect.handle == handle
        and effect is not mine
        and effect.effect is mine.effect
        and effect.effect is not EffectClass.ABSOLUTE
        and other.command.provider == task.command.provider  # type: ignore[attr-defined]
        for other, effect in model.all_effects()
    )


def kept(model: Model, roots: list[Task]) -> set[str]:
    """Which of these roots may not be deleted, even if all the others are (rule 17):
    what is not over, what has left something, and what a retry refers to."""
    going = {root.name for root in roots}
    stay = {root.name for root in roots if _has_reason(root)}
    while True:
        more = {
            str(one.retry_of)
            for one in model.roots.values()
            if one.retry_of in going - stay
            and (one.name not in going or one.name in stay)
        }
        if not more:
            return stay
        stay |= more


def _has_reason(root: Task) -> bool:
    family = root.family()
    effects = [effect for task in family for effect in task.effects]
    return (
        any(not task.done for task in family)
        or any(effect.state not in _OVER for effect in effects)
        or any(effect.open_sends for effect in effects)
        or any(task.error is not None and task.error.left for task in family)
    )


def ended_before(model: Model, moment: float) -> list[Task]:
    """Roots, by when they ended."""
    ended = [root for root in model.roots.values() if root.finished is not None]
    return [root for root in ended if float(root.finished or 0) < moment]


def forget(model: Model, roots: list[Task]) -> int:
    """Delete those that may go, whole; a used key still tells of them."""
    stay = kept(model, roots)
    for root in roots:
        if root.name not in stay:
            model.forgotten[root.name] = root.finished, root.id
            del model.roots[root.name]
    return len(roots) - len(stay)
