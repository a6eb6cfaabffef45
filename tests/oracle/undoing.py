"""Undoing: how what was done is taken back, in the model (rules 8, 9). A root that ends
badly first plans a step for each effect that nothing came after; when those have ended
well, for what came before; and it ends when nothing is left to be taken back, or when a
person has left a step of it behind."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from earmark.domain.connector import EffectClass
from earmark.domain.ids import derived_id
from tests.oracle.commands import RETRY
from tests.oracle.things import GOOD, Effect, Error, Task, new_effect

if TYPE_CHECKING:
    from tests.oracle.model import Model

#: A step of an undo is tried so often and so patiently, then held; the engine is told
#: the same (`house.py`), for it would try longer.
PATIENCE = RETRY
DECISIONS = ("undo-again", "leave-behind")
#: Steps come behind all parts.
_FIRST = 1 << 19


def instead_of_end(
    model: "Model", task: Task, outcome: str, error: Error | None
) -> bool:
    """True when a task does not come to this end: a root first takes back what was
    done, and a step of that is tried again, or held."""
    if outcome in GOOD:
        return False
    if task.undoes is not None:
        if not task.stop:
            _try_again_or_hold(model, task)
        return not task.stop
    if task.parent is not None or task.step == "undo" or not _to_undo(task):
        return False
    task.step, task.verdict = "undo", outcome
    task.error = Error(error.code if error else outcome)
    task.tries = task.recoveries = 0
    _queue(model, task)
    model.happened["began to undo"] += 1
    return True


def plan(model: "Model", root: Task, *, raises: bool) -> bool:
    """The next steps of a root's undo, or its end. False when its author's code
    `raises`, and is asked again later."""
    while not _given_up(root) and (last := _last_done(root)):
        if raises:
            _not_planned(model, root)
            return False
        untils = [effect.may_come_again_until(model.now) for _, effect in last]
        until = max((it for it in untils if it is not None), default=None)
        if until is not None:
            model.happened["taken back later"] += 1
            root.state, root.run_after, root.deadline = "queued", until, None
            return True
        before = len(root.steps)
        for task, effect in last:
            _take_back(model, root, task, effect)
        root.pending = len(root.steps) - before
        if root.pending:
            root.state, root.deadline = "undoing", None
            model.happened["took back several at once"] += root.pending > 1
            return True
    assert root.error is not None
    assert root.verdict is not None
    model.happened["undo over"] += 1
    model.fail(root, root.error.code, root.verdict)
    return True


def tell(step: Task) -> None:
    """A step has ended: if well, nothing is left of what it takes back."""
    root, effect = step.root, step.undoes
    assert effect is not None
    effect.undone = effect.undone or step.well
    root.pending -= 1
    if root.pending == 0:
        root.state = "queued"


def hold(model: "Model", task: Task) -> None:
    """A person decides about what cannot be taken back."""
    task.state, task.deadline = "held", None
    what = "undo" if task.undoes is None else "a step of it"
    model.happened[f"{what} is held"] += 1


def waits_for_provider(model: "Model", task: Task) -> bool:
    """A step that did not reach its provider waits for that, with the promise that it
    has: silence is no try (rule 4)."""
    if task.undoes is None or task.stop:
        return False
    task.tries = max(task.tries - 1, task.recoveries)
    _queue(model, task, task.attempt)
    model.happened["undo waited for its provider"] += 1
    return True


def may_be_left(task: Task) -> bool:
    """A step that was claimed before, of which nothing is open, and that waits."""
    effect = task.effect
    if task.undoes is None or task.state != "queued" or not task.attempt:
        return False
    return effect is not None and (effect.state, effect.doubt_since) == (
        "planned",
        None,
    )


def decide(model: "Model", task: Task, decision: str) -> None:
    """A person's decision about that."""
    if decision == "undo-again":
        if task.undoes is not None:
            _promise(task)
        task.tries = task.recoveries = 0
        _queue(model, task)
    elif task.undoes is None:
        assert task.error is not None
        model.fail(task, task.error.code, str(task.verdict))
    else:
        task.stop = True
        model.end(task, "interrupted", Error("left-behind"))


def taken_back(task: Task) -> tuple[str, ...]:
    """Of a root: the titles of the steps that ended well."""
    return tuple(sorted(_title(step) for step in task.steps.values() if step.well))


def left_behind(task: Task) -> frozenset[str]:
    """The titles of what has made something that is still at its provider and is no
    state; before its root's end, what can be taken back still will be. "perhaps" what
    nobody knows of."""
    return frozenset(_left_behind(task))


def _left_behind(task: Task) -> Iterator[str]:
    to_undo = _to_undo(task) if task.step == "undo" else []
    stays = {effect.id for _, effect in to_undo}
    unsure = {
        step.undoes.id
        for step in task.steps.values()
        if step.undoes and step.error and step.error.code == "watched"
    }
    for part in task.parts():
        for effect in part.effects:
            perhaps = not effect.ended_well or effect.id in unsure
            if effect.state == "watched" or (effect.id in stays and perhaps):
                yield f"perhaps {_title(part)}"
            elif effect.id in stays or (effect.ended_well and _stays(task, effect)):
                yield _title(part)
            elif _is_half(effect) and _stays(task, effect):
                yield f"perhaps {_title(part)}"


def _is_half(effect: Effect) -> bool:
    """Accepted, and its job did not end well, as far as no person knows better."""
    half = effect.state == "settled" and not effect.ended_well
    return half and effect.handle is not None and not effect.decided


def _stays(task: Task, effect: Effect) -> bool:
    later = effect.undoable and task.parent is not None
    gone = effect.effect is EffectClass.ABSOLUTE or effect.undone
    return not gone and not later


def _title(task: Task) -> str:
    return str(task.command.what)  # type: ignore[attr-defined]


def _to_undo(root: Task) -> list[tuple[Task, Effect]]:
    """What was accepted and has ended, also badly, and can be taken back."""
    return [
        (task, effect)
        for task in root.parts()
        for effect in task.effects
        if effect.undoable and effect.state == "settled"
        if effect.handle is not None and not effect.undone
    ]


def _given_up(root: Task) -> bool:
    return any(step.done and not step.well for step in root.steps.values())


def _last_done(root: Task) -> list[tuple[Task, Effect]]:
    """That after which nothing else came. What came before something of which nobody
    knows whether it is there stays: that may stand on it."""
    late: dict[str, int] = {}
    _place(root, 0, late)
    known = 0
    for task in root.parts():
        if any(effect.state == "watched" for effect in task.effects):
            known = max(known, late[task.name])
    left = [one for one in _to_undo(root) if late[one[0].name] >= known]
    last = max((late[task.name] for task, _ in left), default=0)
    these = [one for one in left if late[one[0].name] == last]
    return sorted(these, key=lambda one: one[1].id)


def _place(task: Task, begin: int, late: dict[str, int]) -> int:
    """How late a task came, and all below it; returns when the last has ended."""
    late[task.name] = begin
    ends: dict[str, int] = {}
    # Who comes after others is later in the plan, too.
    for key, child in task.children.items():
        start = max([begin, *(ends[other] for other in child.after)])
        ends[key] = _place(child, start, late)
    return max(ends.values(), default=begin + 1)


def _take_back(model: "Model", root: Task, task: Task, effect: Effect) -> None:
    back = task.command.taken_back_by()  # type: ignore[attr-defined]
    model.happened["taken back half-way"] += not effect.ended_well
    if back is None:
        effect.undone = True
        model.happened["nothing of it was left"] += 1
        return
    number = len(root.steps)
    step = Task(
        name=f"{root.name}/undo{number}",
        id=derived_id(root.id, f"undo {effect.id}", _FIRST + number),
        command=back,
        priority=root.priority,
        parent=root,
        zone=task.zone,
        run_after=model.now,
        undoes=effect,
    )
    root.steps[f"undo{number}"] = step
    new_effect(step, back)


def _not_planned(model: "Model", root: Task) -> None:
    root.tries += 1
    tries = max(root.tries - root.recoveries, 1)
    model.happened["undo could not be planned"] += 1
    if tries < PATIENCE.attempts:
        _queue(model, root, tries)
    else:
        hold(model, root)


def _try_again_or_hold(model: "Model", step: Task) -> None:
    tries = len(step.effects) % PATIENCE.attempts
    if not tries:
        hold(model, step)
        return
    _promise(step)
    _queue(model, step, tries)
    model.happened["undo tried again"] += 1


def _promise(step: Task) -> None:
    command: Any = step.command
    new_effect(step, command)


def _queue(model: "Model", task: Task, tries: int = 0) -> None:
    pause = PATIENCE.pause(tries).total_seconds() if tries else 0
    task.state, task.run_after, task.deadline = "queued", model.now + pause, None
