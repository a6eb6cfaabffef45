"""Whoever waits is told the truth about what for (invariant 10)."""

from earmark.domain.outcome import Running
from earmark.engine.explain import waiting_for
from earmark.store import workers
from earmark.store.database import Transaction
from tests.engine.world import Make, Stage


def register(stage: Stage, name: str, knows: list[list[str | int]]) -> None:
    """A live worker, as its row tells."""
    values = {
        "id": name, "zone": "default", "roles": ["*"], "commands": knows, "slots": 1,
        "host": "h", "machine": "m", "pid": 1, "pid_started": 1.0,
    }  # fmt: skip

    def work(tx: Transaction) -> None:
        workers.register(tx, values)

    stage.engine.write(work)


def test_it_says_when_nobody_could_follow_a_job(stage: Stage) -> None:
    """Not "the provider has to finish", when no worker would notice that it did."""
    stage.world.on_poll = lambda job: Running(5)
    task = stage.ask(Make(provider="p-1", what="a"))
    stage.work(rounds=2)

    def reason() -> str:
        now = stage.task(task)
        return stage.engine.read(lambda tx: waiting_for(tx, [now]))[task.id].text

    assert reason() == "no live worker in zone default"
    register(stage, "w-1", [["Other", 1]])
    assert reason() == "no live worker in zone default knows Make v1"
    register(stage, "w-2", [["Make", 1]])
    assert reason().startswith("scripted to finish")
