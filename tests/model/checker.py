"""A small explicit-state checker: every state that a model can reach, breadth first, so
that a violation is shown by one of the shortest ways to it.

A state is any hashable value. What is checked: invariants, which each state has to
keep; rules, which each step has to keep; and goals: from every state that the model can
reach, some state that meets the goal can still be reached.
"""

import gc
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Generic, NamedTuple, Protocol, TypeVar

S = TypeVar("S", bound=Hashable)


class Move(NamedTuple, Generic[S]):
    """One enabled action: what it is called, and the state after it."""

    name: str
    to: S


@dataclass(frozen=True)
class Goal(Generic[S]):
    """What must stay within reach. `met`: is it met here? `by`: the moves that may be
    used to get there, told by their names."""

    name: str
    met: Callable[[S], bool]
    by: Callable[[str], bool] = lambda name: True


class Model(Protocol[S]):
    """What the checker needs to know of a model."""

    def initial(self) -> Iterable[S]:
        """Every state in which it can begin."""
        ...

    def moves(self, state: S) -> Iterator[Move[S]]:
        """What can happen next; none where it has ended."""
        ...

    def broken(self, state: S) -> str | None:
        """The invariant that this state breaks, if any."""
        ...

    def broken_step(self, old: S, name: str, new: S) -> str | None:
        """The rule that this step breaks, if any."""
        ...

    def goals(self) -> Iterable[Goal[S]]:
        """What must stay within reach."""
        ...

    def tell(self, old: S, new: S) -> str:
        """What a step changed, for people."""
        ...


@dataclass
class Explored(Generic[S]):
    """What an exploration found. `trace`: the way to the violation, if there is one."""

    states: int = 0
    steps: int = 0
    depth: int = 0
    violation: str = ""
    trace: list[str] = field(default_factory=list)
    actions: set[str] = field(default_factory=set)

    def __str__(self) -> str:
        lines = [f"{self.states} states, {self.steps} steps, {self.depth} deep"]
        if self.violation:
            lines += [f"Violated: {self.violation}", *self.trace]
        return "\n".join(lines)


class TooManyStates(Exception):
    """The model is larger than it was allowed to be: bound it, or allow more."""


def explore(model: Model[S], most: int = 1_000_000) -> Explored[S]:
    """Visit every state, up to the first violation. Raises `TooManyStates`."""
    # Nothing here is ever in a circle, and to look for that takes half of the time.
    collecting = gc.isenabled()
    gc.disable()
    try:
        return _explore(model, most)
    finally:
        if collecting:
            gc.enable()


def _explore(model: Model[S], most: int) -> Explored[S]:
    result: Explored[S] = Explored()
    number: dict[S, int] = {}
    order: list[S] = []
    came: list[tuple[int, str]] = []  # by number: from which state, by which action
    edges: list[list[tuple[int, str]]] = []  # by number: into it, from where

    def visit(state: S, whence: int, name: str) -> str | None:
        if state not in number:
            number[state] = len(order)
            order.append(state)
            came.append((whence, name))
            edges.append([])
            if len(order) > most:
                raise TooManyStates(f"more than {most} states")
            broken = model.broken(state)
            if broken:
                return broken
        if whence >= 0:
            edges[number[state]].append((whence, name))
        return None

    def show(at: int, violation: str) -> Explored[S]:
        result.states, result.violation = len(order), violation
        result.trace = list(_way(model, order, came, at))
        return result

    for state in model.initial():
        broken = visit(state, -1, "")
        if broken:
            return show(len(order) - 1, broken)
    at = 0
    depth_ends = len(order)
    while at < len(order):
        if at == depth_ends:
            result.depth, depth_ends = result.depth + 1, len(order)
        old = order[at]
        for name, new in model.moves(old):
            result.steps += 1
            result.actions.add(name)
            broken = visit(new, at, name) or model.broken_step(old, name, new)
            if broken:
                if number[new] != len(order) - 1:
                    came[number[new]] = (at, name)
                return show(number[new], broken)
        at += 1
    result.states = len(order)
    for goal in model.goals():
        stuck = _stuck(goal, order, edges)
        if stuck is not None:
            return show(stuck, f"out of reach: {goal.name}")
    return result


def _stuck(
    goal: Goal[S], order: list[S], edges: list[list[tuple[int, str]]]
) -> int | None:
    """The first state from which the goal can no longer be reached."""
    reaches = [goal.met(state) for state in order]
    frontier = [at for at, met in enumerate(reaches) if met]
    allowed: dict[str, bool] = {}
    while frontier:
        for whence, name in edges[frontier.pop()]:
            if not reaches[whence]:
                if name not in allowed:
                    allowed[name] = goal.by(name)
                if allowed[name]:
                    reaches[whence] = True
                    frontier.append(whence)
    return next((at for at, reached in enumerate(reaches) if not reached), None)


def _way(
    model: Model[S], order: list[S], came: list[tuple[int, str]], at: int
) -> Iterator[str]:
    path = []
    while at >= 0:
        path.append(at)
        at = came[at][0]
    path.reverse()
    for step, (before, after) in enumerate(pairwise(path), start=1):
        changed = model.tell(order[before], order[after])
        yield f"{step:4}  {came[after][1]}"
        if changed:
            yield f"        {changed}"
