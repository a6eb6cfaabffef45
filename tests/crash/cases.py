"""Every command that is killed at every instant. To add one: a line in `PRODUCT`, or in
`SCRIPTED` for what no product command shows."""

from uuid import NAMESPACE_URL, uuid5

from earmark.commands import (
    AddVmTemplate,
    AdoptOrphan,
    CreateImageTemplate,
    CreateSnapshot,
    CreateTenant,
    DestroyOrphan,
    MoveDisk,
    OpenConsole,
    PowerMany,
    PowerOff,
    PowerOn,
    RefreshProvider,
    RemoveVm,
    RestartVm,
    ShutdownGuest,
    SweepProvider,
    VerifyCredentials,
)
from earmark.domain.secret import Secret
from earmark.lab.seed import DEMO
from tests.crash.provider import (
    MakeAgain,
    MakeAllOrFail,
    MakeAllOrNothing,
    MakeInPhases,
    MakeInTurn,
    MakeListed,
    MakeMany,
    MakeNamed,
    MakeOrFail,
    MakeSlowly,
    MakeSo,
    MakeUndone,
    Peek,
)
from tests.crash.schedules import Case
from tests.engine.world import (
    Make,
    MakeAll,
    MakeBadly,
    MakeBlindly,
    MakeTagged,
    MakeTwice,
)

#: The scripted provider's id, and the in-process lab's.
SCRIPTED_ID, LAB_ID = "p-1", "lab-1"
PASSWORD = "lab-password"
#: The name of a template that the site has since it was listed.
TAKEN = "taken"
#: A console of the first VM, for which a browser waits.
CONSOLE = "console-1"
#: Something at the lab that nothing explains.
ORPHAN = "orphan-1"
_VM = DEMO[0].name
_NEXT_VM = DEMO[1].name
_OFF_VM = DEMO[3].name
_SMALL_OFF_VM = DEMO[4].name


def _make(
    name: str,
    kind: type[Make],
    what: str = "a",
    besides: tuple[str, ...] = (),
    **more: object,
) -> Case:
    return Case(
        name,
        lambda url: kind(provider=SCRIPTED_ID, what=what),
        runs=(kind.__name__, *besides),
        **more,  # type: ignore[arg-type]
    )


SCRIPTED = (
    _make("token", Make),
    _make("identity", MakeNamed),
    _make("tag", MakeTagged),
    _make("absolute", MakeSo),
    _make("tasks", MakeListed),
    _make("none", MakeBlindly, may_hold=True),
    _make("throttled", MakeTagged, "busy"),
    _make("refused", MakeTagged, "refused", ends="failed"),
    _make("failed at the provider", Make, "bad", ends="failed"),
    _make("finish raises", MakeBadly, ends="failed"),
    _make("asked in batches", MakeMany),
    _make("fails on restart", MakeOrFail, killed_ends="failed"),
    _make("tried again", MakeAgain, "flaky", cancelled_ends="failed"),
    _make("stoppable", MakeSlowly),
    _make("two in turn", MakeInTurn, roots=2),
    Case(
        "phases",
        lambda url: MakeInPhases(provider=SCRIPTED_ID, whats=("a", "b")),
        runs=("MakeInPhases", "MakeMany"),
        big=True,
    ),
    Case(
        "phases that fail on restart",
        lambda url: MakeAllOrFail(provider=SCRIPTED_ID, whats=("a", "b")),
        runs=("MakeAllOrFail", "MakeMany"),
        killed_ends="failed",
        big=True,
    ),
    _make("undone", MakeUndone, "bad", ends="failed", besides=("Unmake",), big=True),
    Case(
        "phases undone",
        lambda url: MakeAllOrNothing(provider=SCRIPTED_ID, whats=("a", "b")),
        runs=("MakeAllOrNothing", "MakeUndone", "Unmake"),
        ends="failed",
        big=True,
    ),
    Case("action", lambda url: Peek(provider=SCRIPTED_ID), runs=("Peek",)),
    Case(
        "composite",
        lambda url: MakeAll(provider=SCRIPTED_ID, whats=("a", "b")),
        runs=("MakeAll", "Make"),
        big=True,
    ),
    Case(
        "composite with a join",
        lambda url: MakeAll(provider=SCRIPTED_ID, whats=("a", "b"), join=True),
        runs=("MakeAll", "Make", "Join"),
        big=True,
    ),
    Case(
        "composite of composites",
        lambda url: MakeTwice(provider=SCRIPTED_ID, whats=("a", "b")),
        runs=("MakeTwice", "MakeAll", "Make"),
        big=True,
    ),
    Case(
        "composite with a failing child",
        lambda url: MakeAll(provider=SCRIPTED_ID, whats=("a", "bad", "c"), join=True),
        runs=("MakeAll", "Make", "Join"),
        ends="failed",
        big=True,
    ),
    Case(
        "broken composite",
        lambda url: MakeAll(provider=SCRIPTED_ID, whats=(), broken=True),
        runs=("MakeAll",),
        ends="failed",
    ),
)


def _credentials(url: str) -> VerifyCredentials:
    return VerifyCredentials(
        name="another",
        kind="lab",
        settings={"url": url},
        secrets={"password": Secret(PASSWORD)},
    )


def _copy(url: str) -> CreateImageTemplate:
    # As `earmark.lab.seed` derives it from the names.
    image = str(uuid5(NAMESPACE_URL, f"lab:Lab/{_VM}-disk0/image"))
    return CreateImageTemplate(provider="lab", image=image, alias="one", domain="fast")


PRODUCT = (
    Case("PowerOff", lambda url: PowerOff(vm=_VM), ("PowerOff",)),
    Case("PowerOn", lambda url: PowerOn(vm=_OFF_VM), ("PowerOn",)),
    Case("ShutdownGuest", lambda url: ShutdownGuest(vm=_VM), ("ShutdownGuest",)),
    Case("PowerOff of what is off", lambda url: PowerOff(vm=_OFF_VM), ("PowerOff",)),
    Case("CreateImageTemplate", _copy, ("CreateImageTemplate",)),
    Case(
        "AddVmTemplate",
        lambda url: AddVmTemplate(vm=_OFF_VM, name="golden"),
        ("AddVmTemplate", "CreateImageTemplate", "SealTemplate"),
        big=True,
    ),
    Case(
        "AddVmTemplate undone",
        # At the site, and not in our inventory: the seal is refused. A no to a second
        # send says nothing of the first, so that one is a person's in the end.
        lambda url: AddVmTemplate(vm=_OFF_VM, name=TAKEN),
        ("AddVmTemplate", "CreateImageTemplate", "SealTemplate", "TakeBack"),
        ends="failed",
        may_hold=True,
        big=True,
    ),
    Case(
        "RefreshProvider",
        lambda url: RefreshProvider(provider="lab"),
        ("RefreshProvider",),
    ),
    Case("VerifyCredentials", _credentials, ("VerifyCredentials",), ends="ok"),
    Case(
        "SweepProvider", lambda url: SweepProvider(provider="lab"), ("SweepProvider",)
    ),
    Case(
        "AdoptOrphan",
        lambda url: AdoptOrphan(orphan=ORPHAN, why="it is used"),
        ("AdoptOrphan",),
    ),
    Case("DestroyOrphan", lambda url: DestroyOrphan(orphan=ORPHAN), ("DestroyOrphan",)),
    Case(
        "CreateSnapshot",
        lambda url: CreateSnapshot(vm=_VM, name="before"),
        ("CreateSnapshot",),
    ),
    Case(
        "OpenConsole",
        # Nothing listens where the browser was: what counts is that this is an end.
        lambda url: OpenConsole(vm=_VM, console=CONSOLE, relay=Secret("relay-secret")),
        ("OpenConsole",),
        ends="failed",
    ),
    Case(
        "CreateTenant",
        lambda url: CreateTenant(provider="lab", name="blue", description="Research"),
        ("CreateTenant",),
    ),
    Case(
        "MoveDisk",
        lambda url: MoveDisk(
            vm=_SMALL_OFF_VM, disk=f"{_SMALL_OFF_VM}-disk0", domain="bulk"
        ),
        ("MoveDisk", "CreateImageTemplate", "SwitchDisk", "RemoveImage"),
        big=True,
    ),
    Case(
        "PowerMany",
        lambda url: PowerMany(vms=(_VM, _NEXT_VM), target="off"),
        ("PowerMany", "PowerOff"),
        big=True,
    ),
    Case(
        "RestartVm",
        lambda url: RestartVm(vm=_VM),
        ("RestartVm", "PowerOff", "PowerOn"),
        big=True,
    ),
    Case(
        "RemoveVm",
        lambda url: RemoveVm(vm=_SMALL_OFF_VM),
        ("RemoveVm", "RemoveImage", "RemoveVmRecord"),
        big=True,
    ),
)
