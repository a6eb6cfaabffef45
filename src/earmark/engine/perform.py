"""Perform: the path of one claimed task, as named steps."""

from earmark.domain.command import Action, Composite, ExternalJob
from earmark.domain.errors import CommitUnknown, Stale, StoreAway
from earmark.domain.states import Step, TaskState
from earmark.domain.task import Task
from earmark.engine import describe
from earmark.engine.act import act
from earmark.engine.finish import finish
from earmark.engine.not_undone import not_planned
from earmark.engine.plan import plan
from earmark.engine.runtime import Engine
from earmark.engine.send import send
from earmark.engine.settle import Stopped, settle_failed, settle_stopped
from earmark.engine.undo import undo


def perform(engine: Engine, task: Task) -> None:
    """Do the next step of a claimed task; afterwards no worker holds it.

    Returns quietly when somebody else took over. Raises `StoreAway` when the store
    is out of reach: then its worker lets go of it, or its deadline brings it back.
    """
    try:
        _perform(engine, task)
    except Stale:
        return


def _undo(engine: Engine, task: Task) -> None:
    try:
        undo(engine, task)
    except (Stale, StoreAway, CommitUnknown):
        raise
    except Exception as error:  # noqa: BLE001 - the author's code may raise anything
        not_planned(engine, task, error)


def _perform(engine: Engine, task: Task) -> None:
    if task.step is Step.UNDO:
        _undo(engine, task)
        return
    try:
        command = describe.load(engine, task)
        if task.step is Step.FINISH:
            assert isinstance(command, Composite)
            finish(engine, task, command)
            return
        task = plan(engine, task, command)
    except Stopped:
        settle_stopped(engine, task)
        return
    except (Stale, StoreAway, CommitUnknown):
        raise
    except Exception as error:  # noqa: BLE001 - the author's code may raise anything
        settle_failed(engine, task, error)
        return
    if task.state is not TaskState.RUNNING:
        return  # it waits for its children, or for its locks
    if isinstance(command, ExternalJob):
        send(engine, task, command)
    elif isinstance(command, Action):
        act(engine, task, command)
