"""A secret stays out of rows, logs and pages, whoever puts it into a text."""

from collections.abc import Mapping
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import BaseModel, TypeAdapter

from earmark.domain.authoring import Ctx, Results, Tx
from earmark.domain.command import Action, Child, Command, Composite
from earmark.domain.errors import UnknownName
from earmark.domain.refs import ProviderRef
from earmark.domain.secret import Secret
from earmark.engine.perform import perform
from earmark.store.columns import metadata
from earmark.store.schema import secrets
from tests.engine.world import Make, Stage

PASSWORD = "correct horse battery"


class Blurt(Action[str]):
    """Opens its secret and tells everybody."""

    title = "Blurt"
    password: Secret

    def run(self, ctx: Ctx) -> str:
        clear = ctx.reveal(self.password)
        ctx.log(f"the password is {clear}")
        ctx.progress(10, f"trying {clear}")
        raise RuntimeError(f"login as root:{clear} refused")


def test_an_opened_secret_is_blotted_out(stage: Stage) -> None:
    stage.engine.commands.register(Blurt)
    ended = stage.run(Blurt(password=Secret(PASSWORD)))
    assert ended.outcome == "failed"
    assert "login as root:••• refused" in ended.message
    assert PASSWORD not in stage.engine.read(everything)


class Keys(BaseModel):
    """What making a key returns: some of it may be seen."""

    private: Secret
    public: str


class MakeKeys(Action[Keys]):
    """Makes a secret that later siblings need."""

    title = "Make keys"

    def run(self, ctx: Ctx) -> Keys:
        return Keys(private=Secret(PASSWORD), public="open to all")


class UseKeys(Make):
    """Opens the sibling's secret where the provider is spoken to."""

    title = "Use keys"

    def send(self, ctx: Ctx) -> str:
        keys = ctx.results.of("keys", MakeKeys)
        opened.append(ctx.reveal(keys.private))
        assert str(keys.private) == "Secret(•••)"
        return super().send(ctx)


class MakeAndUse(Composite[tuple[Secret, str]]):
    """One makes the secret, another uses it, and the root returns it too."""

    title = "Make and use keys"
    provider: ProviderRef

    def children(self, tx: Tx) -> Mapping[str, Command[Any] | Child]:
        use = UseKeys(provider=self.provider, what="thing")
        return {"keys": MakeKeys(), "use": Child(use, after=("keys",))}

    def finish(self, tx: Tx, results: Results) -> tuple[Secret, str]:
        keys = results.of("keys", MakeKeys)
        return keys.private, keys.public


class AskInTheClear(Make):
    """Its prepared request holds a secret, which nothing has sealed."""

    title = "Ask in the clear"

    def prepare(self, ctx: Ctx) -> Any:
        return {"key": Secret(PASSWORD)}


opened: list[str] = []


def everything(tx: Any) -> str:
    rows = (tx.execute(sa.select(t)).all() for t in metadata.sorted_tables)
    return "\n".join(map(str, rows))


def test_a_secret_that_one_child_returns_is_sealed_for_the_next(stage: Stage) -> None:
    for command in (MakeKeys, UseKeys, MakeAndUse):
        stage.engine.commands.register(command)
    opened.clear()
    task = stage.ask(MakeAndUse(provider="p-1"))
    for _ in ("the plan", "the keys"):
        for claimed in stage.claim():
            perform(stage.engine, claimed)
    written = stage.engine.read(everything)
    assert "open to all" in written
    assert PASSWORD not in written
    stage.work()
    assert stage.task(task).outcome == "ok"
    assert opened == [PASSWORD]
    assert PASSWORD not in stage.engine.read(everything)


def test_a_returned_secret_is_deleted_with_its_root(stage: Stage) -> None:
    for command in (MakeKeys, UseKeys, MakeAndUse):
        stage.engine.commands.register(command)
    ended = stage.run(MakeAndUse(provider="p-1"))
    secret, public = TypeAdapter(tuple[Secret, str]).validate_python(ended.result)
    assert public == "open to all"
    with pytest.raises(UnknownName, match="The secret is gone"):
        stage.engine.reveal(str(secret.sealed_id))
    assert stage.engine.read(lambda tx: tx.execute(sa.select(secrets)).all()) == []


def test_a_clear_secret_in_a_request_is_refused_and_says_what_to_do(
    stage: Stage,
) -> None:
    stage.engine.commands.register(AskInTheClear)
    ended = stage.run(AskInTheClear(provider="p-1", what="thing"))
    assert ended.outcome == "failed"
    assert "let a child before this one return it" in ended.message
    assert stage.world.sent == []
