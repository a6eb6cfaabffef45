"""What a lab is told when it starts."""

from dataclasses import dataclass
from pathlib import Path

LOOPBACK = "127.0.0.1"
SEEDS = ("demo", "disks", "empty")


@dataclass(frozen=True, kw_only=True)
class LabConfig:
    """Settings of one lab; every duration is in seconds.

    ``state`` is the lab's own directory and is created when missing. ``port`` 0 picks a
    free port. ``short_seconds`` is the duration of deletions and of creating anything
    but a copy. ``seed`` fills an empty site with a few machines (``demo``) or with one
    of many disks (``disks``), or leaves it so (``empty``); a site that exists is never
    seeded again. With ``certfile`` the lab speaks TLS; ``keyfile`` may be left out when
    the certificate's file also holds the key.

    Raises ValueError for a host other than 127.0.0.1, an unknown seed, a negative
    duration, or a key without a certificate.
    """

    state: Path
    host: str = LOOPBACK
    port: int = 0
    username: str = "operator"
    password: str = "lab-password"  # noqa: S105  # a simulated site guards nothing
    site_name: str = "Lab"
    certfile: Path | None = None
    keyfile: Path | None = None
    copy_seconds: float = 4.0
    power_seconds: float = 1.5
    short_seconds: float = 0.5
    seed: str = "demo"

    def __post_init__(self) -> None:
        if self.host != LOOPBACK:
            # Anyone who reaches the lab may tell it to misbehave, without a password.
            raise ValueError(f"the lab serves {LOOPBACK} only, not {self.host!r}")
        if self.seed not in SEEDS:
            raise ValueError(f"unknown seed {self.seed!r}; known: {', '.join(SEEDS)}")
        if min(self.copy_seconds, self.power_seconds, self.short_seconds) < 0:
            raise ValueError("a duration cannot be negative")
        if self.keyfile is not None and self.certfile is None:
            raise ValueError("a TLS key needs its certificate (certfile)")
