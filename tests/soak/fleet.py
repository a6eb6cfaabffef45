"""The machines of the lab under the soak: more than the demo has, so that much can go
on at once, with disks that take no room."""

from pathlib import Path

from earmark.lab.config import LabConfig
from earmark.lab.seed import SeedVm, add
from earmark.lab.site import Site

#: Turned on and off.
WARM = tuple(SeedVm(f"warm{n:02}", ("on", "off")[n % 2], (1,)) for n in range(24))
#: Off, and left so: their disks are moved.
COLD = tuple(SeedVm(f"cold{n:02}", "off", (1,) * (1 + n % 3)) for n in range(16))
#: Off, and removed.
SPARE = tuple(SeedVm(f"spare{n:02}", "off", (1, 1)) for n in range(6))


def furnish(state: Path) -> None:
    """Give a lab that has never run these machines, in its own folder."""
    with Site(LabConfig(state=state)) as site, site.transaction():
        for vm in (*WARM, *COLD, *SPARE):
            add(site, vm)
