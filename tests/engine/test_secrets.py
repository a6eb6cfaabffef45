"""A secret stays out of rows, logs and pages, whoever puts it into a text."""

from typing import Any

import sqlalchemy as sa

from earmark.domain.authoring import Ctx
from earmark.domain.command import Action
from earmark.domain.secret import Secret
from earmark.store.columns import metadata
from tests.engine.world import Stage

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

    def everything(tx: Any) -> str:
        rows = (tx.execute(sa.select(t)).all() for t in metadata.sorted_tables)
        return "\n".join(map(str, rows))

    assert PASSWORD not in stage.engine.read(everything)
