"""Which process is this, and is that one gone? Facts of the operating system only.

A pid means something only together with the machine's boot and the pid namespace, and
it is the same process only if it started at the same time (rule 1).
"""

import os
import socket
from dataclasses import dataclass
from pathlib import Path

import psutil

#: Two readings of one process's start time agree within this many seconds.
_SAME_START = 0.05


@dataclass(frozen=True, slots=True)
class Identity:
    """A process, so that others can prove that it is gone."""

    host: str
    machine: str
    pid: int
    pid_started: float


def own_identity() -> Identity:
    """This process."""
    pid = os.getpid()
    return Identity(
        host=socket.gethostname(),
        machine=this_machine(),
        pid=pid,
        pid_started=psutil.Process(pid).create_time(),
    )


def this_machine() -> str:
    """Where a pid has a meaning: this boot of this host, and this pid namespace."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    if boot.exists():
        namespace = os.readlink("/proc/self/ns/pid")
        return f"{boot.read_text().strip()} {namespace}"
    return f"{socket.gethostname()} {psutil.boot_time():.0f}"


def provably_gone(machine: str, pid: int, pid_started: float) -> bool:
    """True only when the process cannot be running any more. A zombie runs nothing."""
    if machine != this_machine():
        return False
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return True
        return abs(process.create_time() - pid_started) > _SAME_START
    except psutil.NoSuchProcess:
        return True
    except psutil.AccessDenied:
        return False
