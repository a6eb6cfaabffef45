"""Sessions to providers: one for each, in its present settings, and closed in time."""

from typing import Any

import pytest

from earmark.commands import RefreshProvider
from earmark.domain.deadline import Deadline
from earmark.engine import runtime
from earmark.engine.ctx import EngineCtx
from earmark.store import inventory
from tests.engine.world import NoSettings, Stage


class Opened:
    """A session that knows whether it is closed."""

    def __init__(self) -> None:
        self.closed = False

    def capability(self, capability: Any, deadline: Deadline) -> Any:
        return self

    def close(self) -> None:
        self.closed = True


class Opener:
    """A connector that remembers what it has opened."""

    kind = title = "opener"
    settings = NoSettings
    secrets: dict[str, str] = {}  # noqa: RUF012
    operations: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self) -> None:
        self.opened: list[Opened] = []

    def open(self, config: object) -> Opened:
        self.opened.append(Opened())
        return self.opened[-1]


@pytest.fixture
def opener(stage: Stage) -> Opener:
    opener = Opener()
    stage.engine.connectors = {**stage.engine.connectors, "opener": opener}
    change(stage, kind="opener")
    return opener


def change(stage: Stage, **values: Any) -> None:
    stage.engine.write(lambda tx: inventory.change_provider(tx, "p-1", **values))


def test_what_connect_with_opened_ends_with_the_attempt(
    stage: Stage, opener: Opener
) -> None:
    task = stage.ask(RefreshProvider(provider="p-1"))
    ctx = EngineCtx(stage.engine, task, Deadline(5))
    for _ in range(2):
        ctx.connect_with("opener", {}, {}, Opened)
    assert [it.closed for it in opener.opened] == [False, False]
    ctx.close()
    assert [it.closed for it in opener.opened] == [True, True]
    ctx.close()


def test_sessions_of_old_settings_are_closed_when_no_call_can_use_them(
    stage: Stage, opener: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = 1000.0
    monkeypatch.setattr(runtime, "monotonic", lambda: clock)
    sessions = []
    for version in (1, 2, 3):
        change(stage, version=version)
        sessions.append(stage.engine.session("p-1"))
        assert stage.engine.session("p-1") is sessions[-1]
    assert [it.closed for it in opener.opened] == [False] * 3
    clock += runtime.RETIRED_SECONDS + 1
    stage.engine.session("p-1")
    assert [it.closed for it in opener.opened] == [True, True, False]
    stage.engine.close()
    assert opener.opened[-1].closed
