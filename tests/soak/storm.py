"""A storm: schedules are carried out on an estate, one begun before the last has ended,
while everything that ended is begun again."""

import os
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing, suppress

from tests.peers.pg_proxy import Cut
from tests.soak.deeds import Deed, Schedule
from tests.soak.estate import Estate
from tests.soak.people import People

#: How often the storm looks whether something is due.
_TICK_SECONDS = 0.02

#: What the table counts a trouble as.
_COUNTED = {
    "kill worker": "kills",
    "kill lab": "kills",
    "kill web": "kills",
    "stop worker": "stops",
    "stop lab": "stops",
    "hold the write lock": "stops",
    "cut all": "cuts",
    "cut": "cuts",
    "cut at commit": "cuts",
    "delay": "cuts",
    "refuse": "cuts",
    "fault": "faults",
}


class Storm:
    """Carries schedules out; `done` counts what was really done."""

    def __init__(self, estate: Estate, people: People) -> None:
        self._estate = estate
        self._people = people
        self._later: list[tuple[float, Callable[[], None]]] = []
        self._lab_down = False
        self.done: Counter[str] = Counter()

    def blow(self, schedules: Sequence[Schedule], pace: float) -> None:
        """Begin a schedule every `pace` seconds, its deeds spread over that time."""
        begin = time.monotonic()
        for number, schedule in enumerate(schedules):
            for place, deed in enumerate(schedule.deeds):
                share = place / len(schedule.deeds)
                self._until(begin + pace * (number + share))
                if deed.kind in _COUNTED:
                    self._trouble(deed)
                else:
                    self._people.ask(schedule.number, deed)
            self.done["schedules"] += 1

    def calm(self) -> None:
        """What was stopped, cut or taken down is there again, and the lab is honest."""
        while self._later or self._people.waiting():
            self._tick()
            time.sleep(_TICK_SECONDS)
        self._estate.lab.clear_faults()
        self._estate.all_up()

    def _until(self, moment: float) -> None:
        while True:
            self._tick()
            left = moment - time.monotonic()
            if left <= 0:
                return
            # The pace is part of the storm; there is no event to wait for.
            time.sleep(min(left, _TICK_SECONDS))

    def _tick(self) -> None:
        now = time.monotonic()
        due = [action for when, action in self._later if when <= now]
        self._later = [(when, action) for when, action in self._later if when > now]
        for action in due:
            action()
        self._estate.keep_up()

    def _in(self, seconds: float, action: Callable[[], None]) -> None:
        self._later.append((time.monotonic() + seconds, action))

    def _trouble(self, deed: Deed) -> None:
        facts = deed.facts
        seconds = facts.get("seconds", 0.0)
        match deed.kind:
            case "fault":
                self._fault(deed)
            case "kill worker":
                self._estate.kill(facts["slot"])
            case "kill web":
                self._estate.kill(len(self._estate.slots) - 1, seconds)
            case "stop worker":
                self._stop_worker(facts["slot"], seconds)
            case "kill lab" | "stop lab" if self._lab_down:
                return
            case "kill lab":
                self._lab_down = True
                self._estate.lab.kill()
                self._in(seconds, self._start_lab)
            case "stop lab":
                self._lab_down = True
                os.kill(self._estate.lab.pid, signal.SIGSTOP)
                self._in(seconds, self._go_on_lab)
            case "hold the write lock":
                self._hold(seconds)
            case _:
                self._cut(deed, seconds)
        self.done[_COUNTED[deed.kind]] += 1
        self.done[deed.kind] += 1

    def _fault(self, deed: Deed) -> None:
        if self._lab_down:
            self._in(0.1, lambda: self._fault(deed))
            return
        order = dict(deed.facts)
        self._estate.lab.fault(order.pop("fault"), order.pop("verb"), **order)

    def _start_lab(self) -> None:
        self._estate.lab.start()
        self._lab_down = False

    def _go_on_lab(self) -> None:
        os.kill(self._estate.lab.pid, signal.SIGCONT)
        self._lab_down = False

    def _stop_worker(self, slot: int, seconds: float) -> None:
        process = self._estate.slots[slot]
        if process is not None:
            process.send_signal(signal.SIGSTOP)
            self._in(seconds, lambda: process.send_signal(signal.SIGCONT))

    def _hold(self, seconds: float) -> None:
        """What a backup does to SQLite, or another program on the same file."""
        file = self._estate.settings.database_url.removeprefix("sqlite:///")
        with (
            suppress(sqlite3.OperationalError),  # one that was stopped has it
            closing(sqlite3.connect(file, timeout=1)) as other,
        ):
            other.execute("BEGIN IMMEDIATE")
            time.sleep(seconds)

    def _cut(self, deed: Deed, seconds: float) -> None:
        proxies = self._estate.proxies
        if deed.kind == "cut all":
            for proxy in proxies:
                proxy.sever()
            return
        proxy = proxies[deed.facts["slot"]]
        match deed.kind:
            case "cut":
                proxy.sever()
            case "cut at commit":
                proxy.cut(deed.facts["nth"], Cut[deed.facts["how"]])
            case "delay":
                proxy.delay = 0.05
                self._in(seconds, lambda: setattr(proxy, "delay", 0.0))
            case "refuse":
                proxy.refusing = True
                proxy.sever()
                self._in(seconds, lambda: setattr(proxy, "refusing", False))
