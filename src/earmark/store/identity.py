"""Which process is this, and is that one gone? Facts of the operating system only.

A pid means something only together with the host, its boot and the pid namespace, and
it is the same process only if it started at the same time (rule 1). After a power cut
the same host comes back in another boot: whatever ran in an earlier one is gone.
"""

import hashlib
import os
import socket
from dataclasses import dataclass
from pathlib import Path

import psutil

#: Two readings of one process's start time agree within this many seconds.
_SAME_START = 0.05
_MACHINE_ID = Path("/etc/machine-id")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
#: The kernel's own number of its first pid namespace: here is no container.
_NO_CONTAINER = "pid:[4026531836]"
_UNKNOWN = "-"


@dataclass(frozen=True, slots=True)
class Machine:
    """Where a pid has a meaning. `host` is empty where nothing tells hosts apart."""

    host: str
    boot: str
    namespace: str

    def __str__(self) -> str:
        parts = (self.host, self.boot, self.namespace)
        return " ".join(part or _UNKNOWN for part in parts)

    @classmethod
    def parse(cls, text: str) -> "Machine | None":
        """Read what `str` wrote; None for anything else."""
        parts = text.split(" ")
        if len(parts) != 3:
            return None
        return cls(*("" if part == _UNKNOWN else part for part in parts))


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
        pid_started=started(pid),
    )


def this_machine() -> str:
    """This host, this boot of it, and this pid namespace."""
    if not _BOOT_ID.exists():
        return str(Machine("", this_boot(), ""))
    namespace = os.readlink("/proc/self/ns/pid")
    return str(Machine(host_id(namespace), this_boot(), namespace))


def this_boot() -> str:
    """This boot of this host, as one word."""
    if _BOOT_ID.exists():
        return _BOOT_ID.read_text().strip()
    return f"{socket.gethostname()}@{psutil.boot_time():.0f}".replace(" ", "_")


def host_id(namespace: str) -> str:
    """What stays the same through boots of this host and is no other host's.

    Empty in a container, whose machine-id is its image's, and where there is none: then
    another boot proves nothing, since it may be another host's. The name is hashed in
    so that clones of one disk are not taken for one host, and because a machine-id is
    not to be shown.
    """
    try:
        machine_id = _MACHINE_ID.read_text().strip()
    except OSError:
        return ""
    if namespace != _NO_CONTAINER or len(machine_id) != 32:
        return ""
    text = f"earmark {machine_id} {socket.gethostname()}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def started(pid: int) -> float:
    """When a process started: on Linux in seconds since the boot, which no step of the
    clock moves. Raises `psutil.NoSuchProcess`."""
    stat = Path(f"/proc/{pid}/stat")
    if not _BOOT_ID.exists():
        return psutil.Process(pid).create_time()
    try:
        fields = stat.read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        raise psutil.NoSuchProcess(pid) from None
    return float(fields[19]) / os.sysconf("SC_CLK_TCK")


def provably_gone(machine: str, pid: int, pid_started: float) -> bool:
    """True only when the process cannot be running any more. A zombie runs nothing."""
    theirs, here = Machine.parse(machine), Machine.parse(this_machine())
    if theirs is None or here is None:
        return False
    if theirs.boot != here.boot:
        return bool(here.host) and theirs.host == here.host
    if theirs != here:
        return False
    try:
        if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        return abs(started(pid) - pid_started) > _SAME_START
    except psutil.NoSuchProcess:
        return not _hidden(pid)
    except psutil.AccessDenied:
        return False


def _hidden(pid: int) -> bool:
    """True for another user's process that /proc does not show (hidepid)."""
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except ProcessLookupError:
        pass
    return False
