"""A provider without VMs is refreshed all the same: it is asked whether it answers."""

from typing import Any

import pytest

from earmark.commands import RefreshProvider
from earmark.domain.capabilities import Credentials, Verification, VerifyCode
from earmark.domain.deadline import Deadline
from earmark.domain.errors import Unsupported
from earmark.store import inventory
from tests.engine.world import ScriptedConnector, Stage, World


class Door(Credentials):
    """Lets us in, or not."""

    code = VerifyCode.OK

    def verify(self) -> Verification:
        return Verification(code=self.code, detail="as the test says")


class NoInventory(ScriptedConnector):
    """A kind that has nothing to list."""

    def capability(self, capability: type[Any], deadline: Deadline) -> Any:
        if capability is Credentials:
            return Door()
        raise Unsupported("It lists nothing.")


@pytest.mark.parametrize(
    ("code", "outcome", "health"),
    [(VerifyCode.OK, "ok", "ok"), (VerifyCode.AUTH, "failed", "error")],
)
def test_a_kind_that_lists_nothing_is_asked_whether_it_answers(
    stage: Stage,
    monkeypatch: pytest.MonkeyPatch,
    code: VerifyCode,
    outcome: str,
    health: str,
) -> None:
    monkeypatch.setattr(Door, "code", code)
    connectors = {**stage.engine.connectors, "scripted": NoInventory(World())}
    stage.engine.connectors = connectors
    ended = stage.run(RefreshProvider(provider="p-1"))
    assert ended.outcome == outcome, ended.message
    provider = stage.engine.read(lambda tx: inventory.provider(tx, "p-1"))
    assert provider.health == health
    assert (provider.refreshed_at is not None) == (health == "ok")
