"""Half of a copy whose answer was lost, and whose task the provider has forgotten: what
left is taken back, however its root ends (rules 8, 9)."""

from collections.abc import Mapping
from typing import Any

from earmark.commands import CreateImageTemplate
from earmark.domain.authoring import Results, Tx
from earmark.domain.command import Child, Command, Composite
from earmark.domain.refs import ProviderRef
from earmark.domain.task import Task
from earmark.engine.cancel import cancel
from tests.orphans.yard import Yard


class CopyAndBreak(Composite[str]):
    """A plan of one copy, which ends badly even when that ends well."""

    title = "Copy {image}, and break"
    provider: ProviderRef
    image: str

    def children(self, tx: Tx) -> Mapping[str, Command[Any] | Child]:
        image = self.image
        copy = CreateImageTemplate(
            provider=self.provider, image=image, alias="cp", domain="bulk"
        )
        return {"copy": copy}

    def finish(self, tx: Tx, results: Results) -> str:
        raise RuntimeError("the author's mistake")


def half_of(yard: Yard) -> Task:
    """Half a copy is there, and nobody was told."""
    yard.engine.commands.register(CopyAndBreak)
    image = yard.call("GET", "/images")["images"][0]["id"]
    for fault in ("forget-task", "fail-task", "lose-reply"):
        yard.fault(fault, "image.copy", times=1)
    root = yard.ask(CopyAndBreak(provider="lab", image=image))
    yard.begin()
    yard.begin()
    yard.site.execute("UPDATE tasks SET due_at = 0")
    (half,) = yard.things("image")
    assert half["legality"] == "illegal"
    return root


def taken_back(yard: Yard, root: Task, outcome: str) -> None:
    yard.work()
    now = yard.task(root)
    assert (now.outcome, yard.things("image")) == (outcome, []), now.message
    assert (now.error or {})["undone"] == ["Take back the copy of disk cp"]
    assert "left_behind" not in (now.error or {})


def test_though_the_provider_would_refuse_it_by_now(yard: Yard) -> None:
    root = half_of(yard)
    yard.fault("refuse", "image.copy", times=None)
    taken_back(yard, root, "failed")


def test_cancelled(yard: Yard) -> None:
    root = half_of(yard)
    cancel(yard.engine, root.id, "ada")
    taken_back(yard, root, "cancelled")
