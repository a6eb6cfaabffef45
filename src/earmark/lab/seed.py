"""What an empty site is filled with."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import NAMESPACE_URL, uuid5

from earmark.lab.site import Site

GIB = 1 << 30


@dataclass(frozen=True)
class SeedVm:
    """A virtual machine to begin with; disk sizes are in GiB."""

    name: str
    power_state: str
    disks: tuple[int, ...]
    guest_ignores_shutdown: bool = False


DEMO = (
    SeedVm("web01", "on", (10,)),
    SeedVm("web02", "on", (10,)),
    SeedVm("app01", "on", (20,)),
    SeedVm("db01", "off", (20, 80, 40)),
    SeedVm("cache01", "off", (12,)),
    SeedVm("build01", "on", (60,), guest_ignores_shutdown=True),
)

#: One machine that is off, with more disks than are removed at a glance.
DISKS = (SeedVm("files01", "off", (10, 20, 30, 40)),)

SEEDS: Mapping[str, tuple[SeedVm, ...]] = {"demo": DEMO, "disks": DISKS, "empty": ()}


def seed(site: Site) -> None:
    """Fill a site that has nothing in it yet; one that has is left alone."""
    if site.row("SELECT 1 FROM vms") is not None:
        return
    with site.transaction():
        for vm in SEEDS[site.config.seed]:
            _add(site, vm)


def _add(site: Site, vm: SeedVm) -> None:
    def identity(name: str) -> str:
        # Ids follow from names, so that they can be foretold in tests and examples.
        return str(uuid5(NAMESPACE_URL, f"lab:{site.config.site_name}/{name}"))

    vm_id = identity(vm.name)
    site.execute(
        "INSERT INTO vms VALUES (?, ?, ?, ?)",
        vm_id,
        vm.name,
        vm.power_state,
        vm.guest_ignores_shutdown,
    )
    for number, size in enumerate(vm.disks):
        alias = f"{vm.name}-disk{number}"
        image = identity(f"{alias}/image")
        site.create_disk(image, size * GIB)
        site.execute(
            "INSERT INTO images VALUES (?, ?, 'fast', ?, NULL, ?, NULL, 'legal')",
            image,
            alias,
            size * GIB,
            site.now(),
        )
        site.execute(
            "INSERT INTO disks VALUES (?, ?, ?, ?)",
            identity(f"{alias}/disk"),
            vm_id,
            alias,
            image,
        )
