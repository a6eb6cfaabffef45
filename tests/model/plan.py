"""A plan of two effects with a parent: the first that ends badly drops what is planned,
and the parent ends when nothing that was sent is open any more (wake.py)."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from tests.model.checker import Goal, Move
from tests.model.protocol import Protocol
from tests.model.state import IDLE, Config, State
from tests.model.world import cancel

#: Protections of a plan, and what they say.
PLAN_PROTECTIONS = {
    "waits": "a parent ends after its last child",
    "drops": "a bad end stops its siblings in the same transaction",
    "verdict": "the first bad end fixes the verdict",
}


class Child(NamedTuple):
    """One effect with its task. `good`: it ended well, or there was nothing to do."""

    one: State
    good: bool = False


class Plan(NamedTuple):
    """`pending`: how many children the parent waits for, as its row counts them."""

    children: tuple[Child, ...]
    pending: int = 2
    verdict: str = ""
    parent: str = "waiting"
    stop: bool = False


class TwoInAPlan:
    """Two effects of one class under one parent."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self._effect = Protocol(config)

    def initial(self) -> Iterable[Plan]:
        """All of it is promised in one transaction, nothing is sent."""
        child = Child(State(workers=(IDLE,)))
        yield Plan((child, child))

    def moves(self, plan: Plan) -> Iterator[Move[Plan]]:
        """A step of either child, a cancel of the whole, the parent's own end."""
        for at, child in enumerate(plan.children):
            for name, one in self._effect.moves(child.one):
                if name == "cancel":
                    continue
                ended = one.task == "done"
                good = ended and (one.end == "ok" or name == "nothing to do")
                new = self._with(plan, at, Child(one, child.good or good))
                if one.task == "done" and child.one.task != "done":
                    new = self._tell_parent(new, at)
                yield Move(name, _tidy(new))
        if not plan.stop and plan.parent == "waiting":
            asked = plan._replace(stop=True)
            yield Move("cancel", _tidy(self._stop(asked, range(2))))
        if plan.parent == "queued":
            yield Move("finish", plan._replace(parent="ok"))
            yield Move("finish raises", plan._replace(parent="failed"))

    def _with(self, plan: Plan, at: int, child: Child) -> Plan:
        children = (*plan.children[:at], child, *plan.children[at + 1 :])
        return plan._replace(children=children)

    def _tell_parent(self, plan: Plan, at: int) -> Plan:
        """`wake.end` of a child, and what it does to the others."""
        if not plan.children[at].good and not plan.verdict:
            if self.config.on("verdict"):
                plan = plan._replace(verdict="failed")
            if self.config.on("drops"):
                others = [n for n in range(len(plan.children)) if n != at]
                plan = self._stop(plan, others)
        plan = plan._replace(pending=plan.pending - 1)
        if plan.parent != "waiting" or (plan.pending and self.config.on("waits")):
            return plan
        return plan._replace(parent=plan.verdict or "queued")

    def _stop(self, plan: Plan, which: Iterable[int]) -> Plan:
        """`wake.stop`: what was never sent ends here, and the rest is followed."""
        for at in which:
            child = plan.children[at]
            for _, one in cancel(child.one, self.config):
                plan = self._with(plan, at, child._replace(one=one))
                if one.task == "done":
                    plan = self._tell_parent(plan, at)
        return plan

    def broken(self, p: Plan) -> str | None:
        """The first invariant that does not hold."""
        opened = sum(child.one.task != "done" for child in p.children)
        if p.pending != opened:
            return "the parent counts what is open (6)"
        if p.parent in ("ok", "failed", "queued") and opened:
            return "nothing ends while a child is open (3)"
        if p.parent == "ok" and not all(child.good for child in p.children):
            return "a parent ends well only with all its children (8)"
        bad = any(c.one.task == "done" and not c.good for c in p.children)
        if bad and any(c.one.task != "done" and not c.one.stop for c in p.children):
            return "nothing is sent after the first bad end (rule 8)"
        return next(
            (why for c in p.children if (why := self._effect.broken(c.one))), None
        )

    def broken_step(self, old: Plan, name: str, new: Plan) -> str | None:
        """What has ended does not change."""
        if old.parent in ("ok", "failed") and new.parent != old.parent:
            return "a final state is final (9)"
        if old.verdict and new.verdict != old.verdict:
            return "a verdict that has fallen stands (rule 8)"
        return None

    def goals(self) -> Iterable[Goal[Plan]]:
        """The whole plan can always come to its end."""
        yield Goal("the plan's end", lambda p: p.parent in ("ok", "failed"))

    def tell(self, old: Plan, new: Plan) -> str:
        """What a step changed."""
        told = [
            f"{name} {was} → {now}"
            for name, was, now in zip(Plan._fields[1:], old[1:], new[1:], strict=True)
            if was != now
        ]
        effects = " | ".join(f"{c.one.effect} {c.one.task}" for c in new.children)
        return "; ".join([effects, *told])


def _tidy(plan: Plan) -> Plan:
    return plan._replace(children=tuple(sorted(plan.children)))
