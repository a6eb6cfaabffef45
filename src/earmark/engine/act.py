"""Act: run an action. It reads, or makes one call that may run twice, so a lost worker
only means that it is run again."""

from typing import Any

from earmark.domain.command import Action
from earmark.domain.deadline import Deadline
from earmark.domain.errors import CommitUnknown, Stale, StoreAway
from earmark.domain.task import Task
from earmark.engine.authored import in_ctx
from earmark.engine.boundary import boundary
from earmark.engine.claim import allow
from earmark.engine.ctx import EngineCtx
from earmark.engine.runtime import Engine
from earmark.engine.settle import settle_action, settle_failed


def act(engine: Engine, task: Task, command: Action[Any]) -> None:
    """Run a claimed action to its end. Raises `Stale` when it was taken over."""
    seconds = command.deadlines.call
    task = allow(engine, task, seconds)
    ctx = EngineCtx(engine, task, Deadline(seconds))
    try:
        result = in_ctx(lambda: command.run(ctx))
    except (Stale, StoreAway, CommitUnknown):
        raise  # of a word of its `ctx`; it is run again
    except Exception as error:  # noqa: BLE001 - the author's code may raise anything
        settle_failed(engine, task, error, command)
        return
    finally:
        ctx.close()
    boundary("act.answered")
    try:
        settle_action(engine, task, command, result)
    except (Stale, StoreAway, CommitUnknown):
        raise  # the store's, not the action's: it is settled, or run again
    except Exception as error:  # noqa: BLE001 - its `finish` may raise anything
        settle_failed(engine, task, error)
