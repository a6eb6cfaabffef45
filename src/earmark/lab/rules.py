"""Rules: which requests are to meet which fault. Durable, as the site is."""

import random
import sqlite3
from dataclasses import dataclass
from typing import Any

from earmark.lab.model import VERBS, Json, Refused
from earmark.lab.site import Site

READ = "read"
ANY = "*"

_FIELDS = {"fault", "verb", "times", "after", "seconds", "probability", "seed"}


@dataclass(frozen=True)
class Rule:
    """One order to misbehave.

    ``verb`` None means every verb that changes the site. The first ``after``
    matching requests are let through, then ``times`` of them meet the fault (None:
    all), each with ``probability`` (None: certainly), drawn from ``seed`` so that a
    run can be repeated. ``seconds`` is the fault's own measure of time.
    """

    id: int
    fault: str
    verb: str | None
    times: int | None
    after: int
    seconds: float | None
    probability: float | None
    seed: int
    matched: int
    used: int

    def concerns(self, verb: str | None) -> bool:
        """Tell whether a request is of the rule's kind; ``verb`` None is a read."""
        if self.verb == ANY:
            return True
        if verb is None:
            return self.verb == READ
        return self.verb is None or self.verb == verb

    def ready(self) -> bool:
        """Tell whether the matching request at hand is one to spoil."""
        if self.matched < self.after:
            return False
        if self.times is not None and self.used >= self.times:
            return False
        if self.probability is None:
            return True
        dice = random.Random(f"{self.seed}:{self.matched}")  # noqa: S311 - not a secret
        return dice.random() < self.probability


def add(site: Site, order: Json, known_faults: frozenset[str]) -> int:
    """Store a rule as it was posted; return its id.

    Raises Refused (400) for an unknown fault, verb or field, or a value out of
    range, so that a misspelt rule cannot pass for a system that survives it.
    """
    unknown = order.keys() - _FIELDS
    if unknown:
        raise _bad(f"unknown fields: {', '.join(sorted(unknown))}")
    fault, verb = order.get("fault"), order.get("verb")
    if fault not in known_faults:
        raise _bad(f"unknown fault {fault!r}; known: {', '.join(sorted(known_faults))}")
    if verb is None and fault == "list-lag":
        verb = READ
    if verb not in (None, READ, ANY, *VERBS):
        raise _bad(f"unknown verb {verb!r}")
    with site.transaction():
        added = site.execute(
            """INSERT INTO faults (fault, verb, times, after, seconds, probability,
            seed) VALUES (?, ?, ?, ?, ?, ?, ?)""",
            fault,
            verb,
            None if order.get("times", 1) is None else _whole(order, "times", 1),
            _whole(order, "after", 0),
            _number(order, "seconds", 86_400.0),
            _number(order, "probability", 1.0),
            _whole(order, "seed", 0),
        )
    assert added.lastrowid is not None
    return added.lastrowid


def remove(site: Site, rule_id: int | None = None) -> None:
    """Remove one rule, or all of them; a rule that is gone is no error."""
    with site.transaction():
        site.execute("DELETE FROM faults WHERE ?1 IS NULL OR id = ?1", rule_id)


def listed(site: Site) -> list[Rule]:
    """Return all rules, used up or not, in the order in which they were made."""
    return [_rule(row) for row in site.rows("SELECT * FROM faults ORDER BY id")]


def take(site: Site, verb: str | None, combining: frozenset[str]) -> list[Rule]:
    """Count a request against the rules and return those that it is to meet.

    Runs in the open transaction, the one in which the request is written down.
    Faults named in ``combining`` may meet a request together; of the others the
    oldest one that is ready wins, and the rest wait for the next request.
    """
    chosen: list[Rule] = []
    decided = False
    for rule in listed(site):
        if not rule.concerns(verb):
            continue
        combines = rule.fault in combining
        use = rule.ready() and (combines or not decided)
        if use:
            chosen.append(rule)
            decided = decided or not combines
        site.execute(
            "UPDATE faults SET matched = matched + 1, used = used + ? WHERE id = ?",
            int(use),
            rule.id,
        )
    # What bends the handling comes first, so that it is in force when the deciding
    # fault hands the request on.
    return sorted(chosen, key=lambda rule: rule.fault not in combining)


def _rule(row: sqlite3.Row) -> Rule:
    return Rule(**dict(row))


def _whole(order: Json, name: str, default: int) -> int:
    value: Any = order.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise _bad(f"{name} must be a whole number, not {value!r}")
    return value


def _number(order: Json, name: str, largest: float) -> float | None:
    value: Any = order.get(name)
    if value is None:
        return None
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not 0 <= value <= largest
    ):
        raise _bad(f"{name} must be a number from 0 to {largest:g}, not {value!r}")
    return float(value)


def _bad(message: str) -> Refused:
    return Refused(400, "bad-request", message)
