"""What is done to a house, drawn from a seed: the same seed draws the same deeds again.
When each of them meets what is under way is a matter of real time, and is not repeated.

Nothing here looks at the house. A deed that depends on it, such as "cancel the third of
those asked last", is drawn as just that.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.soak import fleet

#: Worker slots; the number after them is the web's place before the database.
WORKERS = 3
WEB = WORKERS

_MAKE = ("image.copy", "template.create", "tenant.create", "snapshot.create")
_POWER = ("vm.start", "vm.stop", "vm.shutdown")
_STATE = ("disk.switch", "image.delete", "vm.delete")
_ALL = (*_MAKE, *_POWER, *_STATE)
_READ = ("read",)

#: Fault → the verbs that it may meet, and its longest seconds. A request that is slow,
#: late, and meets a lab that stands still or is down, must land within what the
#: connector declares (5 s): so none of these is long.
FAULTS: Mapping[str, tuple[Sequence[str], float | None]] = {
    "lose-reply": (_ALL, None),
    "commit-then-500": (_ALL, None),
    "error-500": ((*_ALL, *_READ), None),
    "slow": ((*_ALL, *_READ), 0.8),
    "late-landing": (_ALL, 1.2),
    "throttle": (_ALL, None),
    # A power job that fails is told only when ten minutes are over.
    "fail-task": ((*_MAKE, *_STATE), None),
    "refuse": (_ALL, None),
    "hang": ((*_ALL, *_READ), 1.5),
    "hang-after-commit": (_ALL, 1.5),
    "forget-task": (_ALL, None),
    "list-lag": (_READ, 1.0),
}

#: What it takes to be done twice by a lab that ignores tokens: to arrive when it has
#: been missed already, and was sent again.
_TWICE: Mapping[str, Any] = {
    "fault": "late-landing",
    "verb": "image.copy",
    "seconds": 8.0,
}


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing that is done: to the house by a person, or by bad luck."""

    kind: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        told = " ".join(f"{name}={value}" for name, value in self.facts.items())
        return f"{self.kind} {told}".rstrip()


@dataclass(frozen=True, slots=True)
class Schedule:
    """What is asked for, and what goes wrong meanwhile, in this order."""

    number: int
    deeds: tuple[Deed, ...]

    def __str__(self) -> str:
        return f"{self.number:3}: " + "; ".join(map(str, self.deeds))


class Draw:
    """The schedules of one block. `lying` draws for a lab that forgets its tokens."""

    def __init__(self, seed: int, block: int, store: str, *, lying: bool) -> None:
        self._luck = random.Random(f"{seed}/{block}/{store}")
        self._store = store
        self._lying = lying

    def schedules(self, count: int) -> list[Schedule]:
        """Draw so many."""
        return [self._schedule(number) for number in range(1, count + 1)]

    def _schedule(self, number: int) -> Schedule:
        luck = self._luck
        asked = [self._ask(f"{number}-{n}") for n in range(luck.randint(1, 4))]
        trouble = [self._trouble() for _ in range(luck.randint(1, 4))]
        deeds = [*asked, *trouble]
        luck.shuffle(deeds)
        return Schedule(number, tuple(deeds))

    def _ask(self, name: str) -> Deed:
        luck = self._luck
        kinds = {"power": 7, "template": 4, "tenant": 4, "snapshot": 4, "move": 4}
        kinds |= {
            "restart": 1,
            "many": 1,
            "remove": 1,
            "refresh": 1,
            "cancel": 3,
            "retry": 2,
        }
        if self._lying:
            kinds = {"template": 5, "tenant": 2, "snapshot": 2, "power": 2}
        kind = _one(luck, kinds)
        how = _one(luck, {"engine": 4, "rest": 3, "rest, answer lost": 3})
        facts: dict[str, Any] = {"how": how}
        if how == "rest, answer lost":
            facts |= {"gap": round(luck.uniform(0.0, 0.03), 3)}
        match kind:
            case "power":
                facts |= {"vm": luck.choice(fleet.WARM).name}
                facts |= {"verb": luck.choice(["PowerOn", "PowerOff", "ShutdownGuest"])}
            case "restart":
                facts |= {"vm": luck.choice(fleet.WARM).name}
            case "many":
                three = luck.sample(fleet.WARM, 3)
                facts |= {"vms": ",".join(sorted(vm.name for vm in three))}
                facts |= {"target": luck.choice(["on", "off"])}
            case "move":
                vm = luck.choice(fleet.COLD)
                facts |= {"vm": vm.name, "disk": luck.randrange(len(vm.disks))}
            case "remove":
                facts |= {"vm": luck.choice(fleet.SPARE).name}
            case "template" | "snapshot":
                vm = luck.choice(fleet.WARM + fleet.COLD)
                facts |= {"vm": vm.name, "name": f"{kind}-{name}"}
            case "tenant":
                facts |= {"name": f"{kind}-{name}"}
            case "cancel" | "retry":
                facts |= {"back": luck.randint(1, 8)}
        return Deed(kind, facts)

    def _trouble(self) -> Deed:
        luck = self._luck
        drawn: dict[str, tuple[int, Callable[[], dict[str, Any]]]] = {
            "fault": (8, self._fault),
            "kill worker": (5, self._slot),
            "stop worker": (3, lambda: self._slot() | self._seconds(0.2, 4.5)),
            "kill lab": (1, lambda: self._seconds(0.0, 0.6)),
            "stop lab": (1, lambda: self._seconds(0.1, 1.0)),
            "kill web": (2, lambda: self._seconds(0.0, 0.8)),
        }
        if self._store == "postgres":
            drawn |= {
                "cut all": (1, dict),
                "cut": (3, self._place),
                "cut at commit": (3, self._commit),
                "delay": (1, lambda: self._place() | self._seconds(0.5, 2.0)),
                # Up to longer than one and the same transaction is tried.
                "refuse": (2, lambda: self._place() | self._seconds(0.5, 4.0)),
            }
        else:
            drawn["hold the write lock"] = (2, lambda: self._seconds(0.05, 0.6))
        if self._lying:
            # Whoever stands still keeps the lease: what is late is there before anybody
            # has missed it, and nothing is sent again.
            del drawn["stop worker"]
        kind = _one(luck, {kind: weight for kind, (weight, _) in drawn.items()})
        return Deed(kind, drawn[kind][1]())

    def _slot(self) -> dict[str, Any]:
        return {"slot": self._luck.randrange(WORKERS)}

    def _place(self) -> dict[str, Any]:
        return {"slot": self._luck.randint(0, WEB)}

    def _seconds(self, least: float, most: float) -> dict[str, Any]:
        return {"seconds": round(self._luck.uniform(least, most), 2)}

    def _commit(self) -> dict[str, Any]:
        when = {"nth": self._luck.randint(1, 6)}
        return self._place() | when | {"how": self._luck.choice(["BEFORE", "AFTER"])}

    def _fault(self) -> dict[str, Any]:
        luck = self._luck
        fault = luck.choice(sorted(FAULTS))
        if self._lying and luck.random() < 0.7:
            return {**_TWICE, "times": luck.choice([1, 2])}
        verbs, longest = FAULTS[fault]
        drawn: dict[str, Any] = {"fault": fault, "verb": luck.choice(verbs)}
        drawn["times"] = luck.choice([1, 1, 1, 2, 3])
        if longest is not None:
            drawn["seconds"] = round(luck.uniform(0.2, longest), 2)
        return drawn


def _one(luck: random.Random, weights: Mapping[str, int]) -> str:
    return luck.choices(list(weights), list(weights.values()))[0]
