"""Retry: a person asks for an ended task again. It is a new task, linked both ways."""

from earmark.domain.task import Task
from earmark.engine.runtime import Engine
from earmark.store.database import Transaction


def refusal(tx: Transaction, task: Task) -> str:
    """Why it cannot be retried, in words; empty when it can."""
    raise NotImplementedError


def retry(engine: Engine, task_id: str, who: str) -> Task:
    """Queue the same command again; returns the new task. Raises `Rejected`."""
    raise NotImplementedError
