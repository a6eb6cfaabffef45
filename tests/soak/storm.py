"""A storm: commands are asked for while workers are killed and stopped, and the lab is
killed and misbehaves. A seed draws the deeds; the same seed draws them again."""

import random
import signal
import time
from collections.abc import Callable
from typing import Any

from earmark.commands import (
    AddVmTemplate,
    PowerOff,
    PowerOn,
    RefreshProvider,
    ShutdownGuest,
)
from earmark.domain.command import Command
from earmark.domain.errors import EarmarkError
from earmark.domain.task import Task
from earmark.lab.seed import DEMO
from tests.acceptance.house import House
from tests.peers.worker import WorkerProcess

#: Every lie that leaves one right answer, with its seconds.
FAULTS = {
    "lose-reply": None,
    "commit-then-500": None,
    "error-500": None,
    "slow": 0.5,
    "late-landing": 1.5,
    "throttle": None,
    "fail-task": None,
    "refuse": None,
}
VERBS = ("vm.start", "vm.stop", "vm.shutdown", "image.copy", "template.create")
_WORKERS = 3


class Storm:
    """Does one drawn deed after the other to a house."""

    def __init__(self, house: House, seed: int) -> None:
        self.house = house
        self.luck = random.Random(seed)
        self.asked: list[Task] = []
        self.deeds: list[str] = []
        self._names = 0
        self._awake = [house.worker() for _ in range(_WORKERS)]
        self._asleep: list[tuple[int, WorkerProcess]] = []

    def blow(self, deeds: int) -> None:
        """So many deeds, close upon each other."""
        kinds: list[Callable[[], str]] = [self._ask] * 6
        kinds += [self._kill, self._stop, self._kill_lab, self._misbehave]
        for number in range(deeds):
            self._wake(number)
            self.deeds.append(self.luck.choice(kinds)())
            # A storm has no event to wait for: its pace is part of the schedule.
            time.sleep(self.luck.uniform(0.0, 0.4))

    def calm(self) -> None:
        """No more faults, and everybody is awake."""
        self.house.lab.clear_faults()
        self._wake(None)

    def _wake(self, number: int | None) -> None:
        for until, worker in list(self._asleep):
            if number is None or number >= until:
                self._asleep.remove((until, worker))
                if worker.running():
                    worker.signal(signal.SIGCONT)
                    self._awake.append(worker)

    def _ask(self) -> str:
        vm = self.luck.choice(DEMO).name
        self._names += 1
        some: list[Command[Any]] = [
            PowerOff(vm=vm),
            PowerOn(vm=vm),
            ShutdownGuest(vm="web01"),
            AddVmTemplate(vm=vm, name=f"template-{self._names}"),
            RefreshProvider(provider="lab"),
        ]
        command = self.luck.choice(some)
        try:
            self.asked.append(self.house.ask(command))
        except EarmarkError as refused:
            return f"asked in vain: {refused}"
        return f"asked: {self.asked[-1].title}"

    def _kill(self) -> str:
        victim = self._awake.pop(self.luck.randrange(len(self._awake)))
        victim.kill()
        self._awake.append(self.house.worker())
        return f"killed {victim.pid}"

    def _stop(self) -> str:
        victim = self._awake.pop(self.luck.randrange(len(self._awake)))
        if victim.running():
            victim.signal(signal.SIGSTOP)
            until = len(self.deeds) + self.luck.randrange(5, 40)
            self._asleep.append((until, victim))
        self._awake.append(self.house.worker())
        return f"stopped {victim.pid}"

    def _kill_lab(self) -> str:
        self.house.lab.restart()
        return "killed the lab"

    def _misbehave(self) -> str:
        fault, verb = self.luck.choice(sorted(FAULTS)), self.luck.choice(VERBS)
        if fault == "fail-task" and verb.startswith("vm."):
            # Accepted, and never reached: right, but told only after ten minutes.
            fault = "slow"
        options = {} if FAULTS[fault] is None else {"seconds": FAULTS[fault]}
        self.house.lab.fault(fault, verb=verb, times=1, **options)
        return f"the lab's next {verb}: {fault}"
