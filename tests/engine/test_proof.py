"""What a look shows inside a thing proves it ours, or not (rule 3)."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from earmark.domain.authoring import Ctx
from earmark.domain.command import Doubt
from earmark.domain.outcome import Found
from tests.engine.world import MakeTagged, Stage, World


def lose_the_reply(what: str, ctx: Ctx) -> str:
    ctx.connect(World).make(what, ctx)
    raise ConnectionResetError("the line went dead")


def run_with(stage: Stage, **looks: Any) -> Any:
    """A lost reply, asked about by these looks."""
    stage.world.on_send = lose_the_reply
    return stage.run(stage.vary(MakeTagged, **looks)(provider="p-1", what="a"))


def test_the_whole_mark_proves_as_much_as_the_token(stage: Stage) -> None:
    ended = run_with(stage, find=lambda self, ctx: [Found(ctx.token, mark=ctx.mark)])
    assert (ended.outcome, ended.result) == ("ok", "a!")


def test_it_does_for_a_look_for_many_too(stage: Stage) -> None:
    installation = stage.engine.installation

    def find_many(
        cls: Any, ctx: Ctx, doubts: Sequence[Doubt]
    ) -> Mapping[str, list[Found]]:
        marks = {doubt.token: f"{installation}.{doubt.token}" for doubt in doubts}
        return {token: [Found(token, mark)] for token, mark in marks.items()}

    assert run_with(stage, find_many=classmethod(find_many)).outcome == "ok"


@pytest.mark.parametrize("mark", ["another.{token}", "{mark}x", ".{token}", "{mark}."])
def test_anothers_mark_with_the_same_token_proves_nothing(
    stage: Stage, mark: str
) -> None:
    def find(self: Any, ctx: Ctx) -> list[Found]:
        return [Found(ctx.token, mark.format(token=ctx.token, mark=ctx.mark))]

    held = run_with(stage, find=find)
    assert held.state == "held"
    assert "nothing proves that it is ours" in held.message
