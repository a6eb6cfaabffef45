"""The protocol's invariants, read from the database and the provider's own ledger.

Any test can ask at any time; each has a name, which a violation begins with. See
`broken` for one engine's database, `broken_at_provider` for what a provider has done,
and `Finals` for what may never change again.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

import sqlalchemy as sa

from earmark.domain.states import (
    OPEN_AT_PROVIDER,
    PLACEHOLDER_MOVES,
    PlaceholderState,
    is_final,
)
from earmark.engine.runtime import Engine
from earmark.store import placeholders as effects
from earmark.store.database import Transaction
from earmark.store.locks import obstacles
from earmark.store.schema import (
    evidence,
    lock_queue,
    locks,
    placeholders,
    secrets,
    sends,
    task_log,
    task_needs,
    tasks,
)

Rule = Callable[[Transaction], Iterator[str]]
RULES: dict[str, Rule] = {}


def rule(name: str) -> Callable[[Rule], Rule]:
    """Add a rule under the name that its violations are told by."""

    def add(look: Rule) -> Rule:
        RULES[name] = look
        return look

    return add


def broken(engine: Engine) -> list[str]:
    """Every violation that the database shows, at whatever point of the work."""

    def look(tx: Transaction) -> list[str]:
        return [f"{name}: {what}" for name, r in RULES.items() for what in r(tx)]

    return engine.read(look)


def unended(engine: Engine) -> list[str]:
    """Tasks that have neither ended nor are left to a person (invariant 10).

    What waits for a held task waits for that person too: those above it, those that
    come after it in its family, and those that queue for what its family has locked.
    """

    def look(tx: Transaction) -> list[str]:
        rows = {row.id: row for row in tx.execute(sa.select(tasks))}
        excused: set[str] = set()
        for row in rows.values():
            if row.state == "held":
                at: Any = row
                while at is not None:
                    excused.add(at.id)
                    at = rows.get(at.parent_id)
        roots = {i for i in excused if rows[i].parent_id is None}
        roots |= _queued_behind(tx, roots) if roots else set()
        return [
            f"every task ends: {_named(row)} is {row.state}: {row.message}"
            for row in rows.values()
            if row.state != "done"
            and row.id not in excused
            and not (row.state == "waiting" and row.root_id in roots)
        ]

    return engine.read(look)


def _queued_behind(tx: Transaction, roots: Collection[str]) -> set[str]:
    """The roots that queue for what these roots have locked, or wait for, earlier."""
    queue = tx.execute(sa.select(lock_queue.c.root_id).distinct()).scalars()
    in_the_way = {
        root: obstacle.task_id
        for root, (_, obstacle) in obstacles(tx, list(queue)).items()
        if obstacle is not None
    }
    behind: set[str] = set()
    while more := {
        root
        for root, holder in in_the_way.items()
        if root not in behind and (holder in roots or holder in behind)
    }:
        behind |= more
    return behind


def broken_at_provider(
    engine: Engine,
    done: Mapping[str, int],
    journal: Iterable[tuple[str, str]] = (),
    *,
    taken: Collection[str] | None = None,
) -> list[str]:
    """Violations that the provider's ledger shows: `done` counts its effects by token,
    `journal` tells in order what it was asked, and where it said that it did nothing:
    ("send", "look" or "no", token).

    `taken`, where an undo is all that takes anything away: the tokens of which nothing
    is left.
    """

    def look(tx: Transaction) -> list[str]:
        rows = {row.id: row for row in tx.execute(sa.select(placeholders))}
        found = [
            f"one effect per promise: {count} effects of {token}"
            for token, count in done.items()
            if count > 1
        ]
        for token, count in done.items():
            row = rows.get(token)
            state = row.state if row is not None else "unknown to us"
            if count and (row is None or state in ("planned", "dropped", "refused")):
                found.append(f"no effect is unaccounted for: {token} is {state}")
        for row in rows.values():
            good = row.state == "settled" and row.result is not None
            if good and not done.get(row.id) and row.effect != "absolute":
                found.append(f"nothing is settled well that is not there: {row.id}")
        if taken is not None:
            found += _wrongly_taken(tx, rows, done, taken)
        return found

    return [*engine.read(look), *_sent_unasked(journal)]


def _wrongly_taken(
    tx: Transaction,
    rows: Mapping[str, Any],
    done: Mapping[str, int],
    taken: Collection[str],
) -> Iterator[str]:
    """Which effect is left that says it was undone; which was taken back that was not
    to be. What a step has sent may have been done before its end is written down."""
    step = sa.select(tasks.c.undoes_id).join(
        placeholders, placeholders.c.task_id == tasks.c.id
    )
    sent = step.where(
        tasks.c.undoes_id.is_not(None), placeholders.c.first_sent_at.is_not(None)
    )
    asked = set(tx.execute(sent).scalars())
    for token, row in rows.items():
        if row.undone_at is not None and done.get(token) and token not in taken:
            yield f"what was taken back is gone: {token} is left"
        if token in taken and row.undone_at is None and token not in asked:
            yield f"nothing is taken back but what is to be: {token} is gone"


def _sent_unasked(journal: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Invariant 4: a question comes between two sends of one promise."""
    unasked: set[str] = set()
    for what, token in journal:
        if what != "send":
            unasked.discard(token)
        elif token in unasked:
            yield f"nothing is sent again unasked: {token}"
        else:
            unasked.add(token)


class Finals:
    """What has ended, as it was when it was first seen so (invariant 9)."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._seen: dict[str, tuple[Any, ...]] = {}

    def look(self) -> list[str]:
        """Take in what has ended since; returns what changed after its end."""
        now = self._engine.read(lambda tx: dict(_finals(tx)))
        changed = [
            f"a final state is final: {key} was {before}, is {now.get(key)}"
            for key, before in self._seen.items()
            if now.get(key) != before
        ]
        self._seen |= now
        return changed


def _finals(tx: Transaction) -> Iterator[tuple[str, tuple[Any, ...]]]:
    for row in tx.execute(sa.select(tasks).where(tasks.c.state == "done")):
        # Late answers may still add lines to its log, and nothing else.
        yield (
            f"task {row.id}",
            (row.outcome, row.message, repr(row.result), repr(row.error), row.attempt,
             row.finished_at),
        )  # fmt: skip
    for row in tx.execute(sa.select(placeholders)):
        if is_final(PLACEHOLDER_MOVES, PlaceholderState(row.state)):
            facts = (row.state, row.external_id, row.nonce, repr(row.result))
            yield f"placeholder {row.id}", facts


def _named(row: Any) -> str:
    return f"{row.command} “{row.title}” ({row.id})"


@rule("an end has an outcome and a time, and nothing else has")
def _ends(tx: Transaction) -> Iterator[str]:
    for row in tx.execute(sa.select(tasks)):
        ended = row.state == "done"
        if ended != (row.outcome is not None) or ended != (row.finished_at is not None):
            yield f"{_named(row)} is {row.state}, {row.outcome}, {row.finished_at}"


@rule("a task that is done has no open placeholder")
def _no_open_effect(tx: Transaction) -> Iterator[str]:
    effect = placeholders.c.state.label("effect_state")
    both = sa.select(tasks, placeholders.c.id.label("token"), effect)
    both = both.join(placeholders, placeholders.c.task_id == tasks.c.id)
    for row in tx.execute(both.where(tasks.c.state == "done")):
        if row.effect_state in (*OPEN_AT_PROVIDER, "planned"):
            yield f"{_named(row)}: {row.token} is {row.effect_state}"


@rule("a held task has a held effect and its evidence, or cannot be undone")
def _held(tx: Transaction) -> Iterator[str]:
    for row in tx.execute(sa.select(tasks).where(tasks.c.state == "held")):
        effect = effects.of_task(tx, row.id)
        if row.undoes_id is not None and effect is not None:
            if effect.state not in ("held", "settled", "refused", "dropped"):
                yield f"{_named(row)}, a step of an undo, has {effect.state}"
        elif row.step == "undo":
            continue
        elif effect is None or effect.state != "held":
            yield f"{_named(row)} has {effect and effect.state}"
        elif not effects.evidence_of(tx, effect.id):
            yield f"{_named(row)} has no evidence"


@rule("what can be taken back is, or its root's end names it")
def _undone(tx: Transaction) -> Iterator[str]:
    root = [tasks.c[name] for name in ("command", "title", "error")]
    left = sa.select(placeholders, *root).join(
        tasks, tasks.c.id == placeholders.c.root_id
    )
    stays = left.where(
        tasks.c.outcome.not_in(("ok", "warned")),
        placeholders.c.undoable,
        placeholders.c.state == "settled",
        placeholders.c.external_id.is_not(None),
        placeholders.c.undone_at.is_(None),
    )
    for it in tx.execute(stays):
        lines = (it.error or {}).get("left_behind", ())
        named = [line.removeprefix("perhaps ").partition(" at ")[0] for line in lines]
        what = it.result if isinstance(it.result, str) else it.external_id
        if what not in named:
            yield f"{it.command} “{it.title}” leaves {it.id} behind, and names {named}"


_STEPS = sa.select(tasks).where(tasks.c.undoes_id.is_not(None))


@rule("nothing is taken back but what its root's bad end asks for")
def _taken_back(tx: Transaction) -> Iterator[str]:
    steps = {row.undoes_id: row for row in tx.execute(_STEPS)}
    back = placeholders.c.undone_at.is_not(None) | placeholders.c.id.in_(steps)
    these = sa.select(placeholders).where(back)
    for it in tx.execute(these).all():
        whose = sa.select(tasks).where(tasks.c.id == it.root_id)
        step, root = steps.get(it.id), tx.execute(whose).one()
        well = step is not None and step.outcome in ("ok", "warned")
        if it.state != "settled" or not it.undoable:
            yield f"{it.id} is taken back, and was {it.state}"
        if root.step != "undo" or root.outcome in ("ok", "warned"):
            yield f"{it.id} is taken back, of {_named(root)}, {root.step}"
        if step is not None and well != (it.undone_at is not None):
            yield f"{it.id} was undone {it.undone_at}, by {_named(step)}, {step.state}"
        if step is not None and step.parent_id != root.id:
            yield f"{it.id} is taken back by {_named(step)}, a part of another root"


@rule("what came last is taken back first")
def _in_reverse(tx: Transaction) -> Iterator[str]:
    if tx.execute(_STEPS.limit(1)).first() is None:
        return
    rows = list(tx.execute(sa.select(tasks)))
    own = {it.id: it.task_id for it in tx.execute(sa.select(placeholders))}
    above = {row.id: row.parent_id for row in rows}
    steps: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        at = own.get(row.undoes_id)
        while at is not None:
            steps[at].append(row)
            at = above[at]
    for need in tx.execute(sa.select(task_needs)):
        for later in steps[need.task_id]:
            for earlier in steps[need.needs_id]:
                end = later.finished_at
                if end is None or end > earlier.created_at:
                    yield f"{_named(earlier)} began before {_named(later)} ended"


@rule("no lock and no place in a queue without its live root")
def _locks(tx: Transaction) -> Iterator[str]:
    for table in (locks, lock_queue):
        both = sa.select(tasks, table.c.kind.label("what"), table.c.name.label("which"))
        for row in tx.execute(both.join(tasks, tasks.c.id == table.c.root_id)):
            if row.state == "done" or row.parent_id is not None:
                yield f"{row.what} {row.which} belongs to {_named(row)}, {row.state}"


@rule("a parent ends after its children, and counts those that have not ended")
def _parents(tx: Transaction) -> Iterator[str]:
    rows = {row.id: row for row in tx.execute(sa.select(tasks))}
    open_children: Counter[str] = Counter()
    for row in rows.values():
        parent = rows.get(row.parent_id)
        if parent is None:
            continue
        if row.state != "done":
            open_children[parent.id] += 1
        if parent.state == "done" and (
            row.state != "done" or row.finished_at > parent.finished_at
        ):
            yield f"{_named(parent)} ended before {_named(row)}"
    for parent_id, count in open_children.items():
        parent = rows[parent_id]
        if parent.state != "done" and parent.pending != count:
            yield f"{_named(parent)} waits for {parent.pending}, not for {count}"


@rule("a log's numbers have no gaps")
def _logs(tx: Transaction) -> Iterator[str]:
    numbers: dict[str, list[int]] = defaultdict(list)
    for row in tx.execute(sa.select(task_log.c.task_id, task_log.c.number)):
        numbers[row.task_id].append(row.number)
    for row in tx.execute(sa.select(tasks)):
        there = sorted(numbers[row.id])
        if there != list(range(1, row.log_lines + 1)):
            yield f"{_named(row)}: {there} of {row.log_lines}"


@rule("no secret outlives its task")
def _secrets(tx: Transaction) -> Iterator[str]:
    both = sa.select(secrets.c.id.label("secret"), tasks)
    for row in tx.execute(both.join(tasks, tasks.c.id == secrets.c.task_id)):
        if row.state == "done":
            yield f"{row.secret} of {_named(row)}"


@rule("what may have left is written down as sent")
def _sends(tx: Transaction) -> Iterator[str]:
    made = {row.nonce: row for row in tx.execute(sa.select(sends))}
    for row in tx.execute(sa.select(placeholders)):
        if row.state == "sending" and row.nonce not in made:
            yield f"{row.id} is sending, and its send is not there"


@rule("an earlier send is over, or harmless, before the next one")
def _one_open_send(tx: Transaction) -> Iterator[str]:
    rows = {row.id: row for row in tx.execute(sa.select(placeholders))}
    unexplained = sa.select(sends).where(
        sends.c.over_at.is_(None), sends.c.answered.is_(False)
    )
    count = Counter(row.placeholder_id for row in tx.execute(unexplained))
    for token, number in count.items():
        if number > 1 and rows[token].effect not in ("token", "identity"):
            yield f"{token} ({rows[token].effect}) has {number} open sends"


#: After these, a send may follow: a look, a definite no, a person's word.
_LOOKS = ("probe", "not-sent", "decision")


@rule("nothing is sent again without a look in between")
def _looked(tx: Transaction) -> Iterator[str]:
    query = sa.select(evidence.c.placeholder_id, evidence.c.kind)
    kinds: dict[str, list[str]] = defaultdict(list)
    for row in tx.execute(query.order_by(evidence.c.id)):
        kinds[row.placeholder_id].append(row.kind)
    for token, seen in kinds.items():
        looked = True
        for kind in seen:
            if kind == "sending" and not looked:
                yield f"{token}: {seen}"
            looked = kind != "sending" and (looked or kind in _LOOKS)
