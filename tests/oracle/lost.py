"""What becomes of the work of who is lost, in the model: nothing sent, it is queued
again or dropped; sent, it is in doubt; lost again and again, a person decides."""

from earmark.domain.command import OnRestart
from tests.oracle import undoing
from tests.oracle.model import Model
from tests.oracle.things import Effect, Error, Task
from tests.oracle.workers import MOST_RECOVERIES, raise_doubt


def worker_gone(model: Model, worker: str) -> None:
    """Proved: it sends nothing more (rule 1)."""
    for _, effect in model.all_effects():
        for send in effect.sends:
            if send.sender == worker and send.over is None:
                send.over = model.now
    worker_silent(model, worker)


def worker_silent(model: Model, worker: str) -> int:
    """It may still wake up; what it runs is recovered."""
    return _recover_all(model, [t for t in model.every() if t.worker == worker])


def overdue(model: Model) -> int:
    """A call past its deadline is hung (rule 6)."""
    late = [t for t in model.every() if t.deadline is not None]
    return _recover_all(model, [t for t in late if float(t.deadline or 0) < model.now])


def _recover_all(model: Model, tasks: list[Task]) -> int:
    left = [task for task in tasks if task.state == "running"]
    for task in left:
        _recover(model, task)
    return len(left)


def _recover(model: Model, task: Task) -> None:
    """Nothing sent: queued again, or dropped as the command says. Sent: in doubt."""
    task.recoveries += 1
    model.happened["recovered"] += 1
    resumed = task.step != "run" or task.undoes is not None
    top = None if resumed else _to_fail(task)
    if top is not None:
        model.happened["failed on restart"] += 1
        if top.verdict is None:
            top.verdict, top.error = "failed", Error("interrupted")
        model.stop(top, None)
    effect = task.effect
    unsent = effect is None or effect.state == "planned"
    given_up = task.recoveries > MOST_RECOVERIES
    if effect is not None and effect.state == "sending":
        raise_doubt(model, task, effect)
        if given_up:
            hold(model, task, effect)
    elif given_up and task.step == "undo":
        undoing.hold(model, task)
    elif given_up and unsent:
        model.fail_unsent(task, "poison")
    elif given_up:
        assert effect is not None
        hold(model, task, effect)
    elif top is not None and unsent:
        model.drop(task, "failed", Error("interrupted"))
    else:
        task.state, task.deadline, task.run_after = "queued", None, model.now


def _to_fail(task: Task) -> Task | None:
    """The highest of it and those above that is not to be resumed."""
    chain: Task | None = task
    found = None
    while chain is not None:
        found = chain if chain.command.on_restart is OnRestart.FAIL else found
        chain = chain.parent
    return found


def hold(model: Model, task: Task, effect: Effect) -> None:
    """A person decides (rule 4)."""
    effect.state, effect.due, effect.decided = "held", False, False
    task.state, task.deadline = "held", None
    model.happened["held"] += 1
