"""A provider without VMs is refreshed all the same: it is asked whether it answers."""

from typing import Any

import pytest

from earmark.commands import RefreshProvider, VerifyCredentials
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


class NobodyToAsk(ScriptedConnector):
    """A kind with neither a list nor credentials."""

    def capability(self, capability: type[Any], deadline: Deadline) -> Any:
        raise Unsupported(f"No {capability.__name__} here.")


class Bare(Credentials):
    """What such a kind may hand out as well."""


@pytest.mark.parametrize("bare", [False, True])
def test_a_kind_with_nothing_to_verify_says_so_and_can_be_added(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, bare: bool
) -> None:
    if bare:
        monkeypatch.setattr(NobodyToAsk, "capability", lambda self, kind, end: Bare())
    connectors = {**stage.engine.connectors, "scripted": NobodyToAsk(World())}
    stage.engine.connectors = connectors
    verify = VerifyCredentials(name="x", kind="scripted", settings={}, secrets={})
    ended = stage.run(verify)
    assert (ended.outcome, ended.result["code"]) == ("ok", "ok")
    assert "nothing was verified" in ended.result["detail"]


def test_a_kind_that_cannot_be_asked_at_all_is_neither_well_nor_ill(
    stage: Stage,
) -> None:
    connectors = {**stage.engine.connectors, "scripted": NobodyToAsk(World())}
    stage.engine.connectors = connectors
    ended = stage.run(RefreshProvider(provider="p-1"))
    assert ended.outcome == "ok", ended.message
    provider = stage.engine.read(lambda tx: inventory.provider(tx, "p-1"))
    assert (provider.health, provider.refreshed_at) == ("unknown", None)
    assert "nothing that could be asked" in provider.health_message
