"""A person stopped waiting for a step of an undo: its watch ends by what it was to take
back, and the ledger tells what is still there (rule 17)."""

from earmark.commands import DestroyOrphan
from earmark.domain.orphan import OrphanState
from earmark.domain.states import PlaceholderState
from earmark.domain.task import Task
from earmark.engine.evidence import held_parts
from earmark.engine.resolve import Decision, resolve
from earmark.store import history
from tests.orphans.test_halves import CopyAndBreak
from tests.orphans.yard import Yard

WATCHED_FOR = "What became of a request of it is still open: it is watched for."


def given_up(yard: Yard) -> tuple[Task, Task]:
    """A root whose copy stays, as far as anybody knows, and the step of its undo."""
    yard.engine.commands.register(CopyAndBreak)
    image = yard.call("GET", "/images")["images"][0]["id"]
    yard.fault("error-500", "image.delete", times=None)
    root = yard.ask(CopyAndBreak(provider="lab", image=image))
    for _ in range(20):
        yard.work(4)
        held = yard.engine.read(lambda tx: held_parts(tx, yard.task(root)))
        if held:
            break
        yard.pass_time(0.5)
    (step,) = held
    resolve(yard.engine, step.id, Decision.WATCH, "ada")
    yard.work(4)
    assert yard.task(root).done
    yard.calm()
    return root, step


def why_kept(yard: Yard, root: Task) -> str:
    return yard.engine.read(lambda tx: history.obstacles(tx, [root.id]))[root.id]


def test_what_is_still_there_past_its_horizon_is_an_orphan(yard: Yard) -> None:
    root, step = given_up(yard)
    yard.sweep()
    assert yard.effect(step).state is PlaceholderState.WATCHED, "it may still arrive"
    assert yard.orphans() == []
    yard.pass_time()
    yard.sweep()
    (orphan,) = yard.orphans()
    (image,) = yard.things("image")
    assert (orphan.external_id, orphan.token) == (image["id"], image["token"])
    assert "stopped waiting for the taking back of “Copy disk cp" in orphan.story
    assert orphan.story.endswith("it is still there.")
    assert yard.effect(step).state is PlaceholderState.ORPHAN
    assert why_kept(yard, root) != WATCHED_FOR
    assert yard.run(DestroyOrphan(orphan=orphan.id)).outcome == "ok"
    assert yard.things("image") == []


def test_what_is_gone_past_its_horizon_is_explained(yard: Yard) -> None:
    root, step = given_up(yard)
    (image,) = yard.things("image")
    yard.call("DELETE", f"/images/{image['id']}")
    yard.site.execute("UPDATE tasks SET due_at = 0")
    assert yard.things("image") == []
    yard.sweep()
    assert yard.effect(step).state is PlaceholderState.WATCHED, "a list may lag"
    assert why_kept(yard, root) == WATCHED_FOR
    yard.pass_time()
    yard.sweep()
    assert yard.effect(step).state is PlaceholderState.EXPLAINED
    assert (yard.orphans(), yard.swept().missing_count) == ([], 0)
    assert why_kept(yard, root) != WATCHED_FOR


def test_an_orphan_that_goes_after_all_is_gone_and_not_missing(yard: Yard) -> None:
    given_up(yard)
    yard.pass_time()
    yard.sweep()
    (image,) = yard.things("image")
    yard.call("DELETE", f"/images/{image['id']}")
    yard.site.execute("UPDATE tasks SET due_at = 0")
    yard.pass_time()
    yard.sweep()
    (orphan,) = yard.orphans(every=True)
    assert (orphan.state, yard.swept().missing_count) == (OrphanState.GONE, 0)
