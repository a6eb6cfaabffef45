"""What is tried again by itself, in the model: a definite failure that the command's
policy names, each time with a promise of its own."""

from earmark.domain.command import ExternalJob
from tests.oracle.model import Model
from tests.oracle.things import Task, new_effect


def tries(task: Task) -> int:
    """What only lost its worker was not tried."""
    return max(task.tries - task.recoveries, 1)


def worth_it(task: Task, code: str) -> bool:
    """A definite failure that the policy names."""
    policy = task.command.retry
    return code in policy.on and not task.stop and tries(task) < policy.attempts


def try_later(model: Model, task: Task) -> None:
    pause = task.command.retry.pause(tries(task)).total_seconds()
    task.state, task.run_after, task.deadline = "queued", model.now + pause, None
    model.happened["will try again"] += 1


def promise_again(model: Model, task: Task, code: str) -> bool:
    """After a definite failure: a new effect."""
    if not worth_it(task, code):
        return False
    assert isinstance(task.command, ExternalJob)
    new_effect(task, task.command)
    try_later(model, task)
    model.happened["promised anew"] += 1
    return True
