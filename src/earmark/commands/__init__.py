"""The commands that ship with Earmark: power, disks, VMs, templates, tenants,
credentials, inventory, orphans, consoles."""

from earmark.commands.console import OpenConsole
from earmark.commands.credentials import VerifyCredentials
from earmark.commands.disk import MoveDisk, RemoveImage, SwitchDisk
from earmark.commands.orphans import AdoptOrphan, DestroyOrphan, SweepProvider
from earmark.commands.power import PowerOff, PowerOn, ShutdownGuest
from earmark.commands.power_plans import PowerMany, RestartVm
from earmark.commands.refresh import RefreshProvider
from earmark.commands.take_back import TakeBack
from earmark.commands.template import AddVmTemplate, CreateImageTemplate, SealTemplate
from earmark.commands.tenant import CreateTenant
from earmark.commands.vm import CreateSnapshot, RemoveVm, RemoveVmRecord

__all__ = [
    "AddVmTemplate",
    "AdoptOrphan",
    "CreateImageTemplate",
    "CreateSnapshot",
    "CreateTenant",
    "DestroyOrphan",
    "MoveDisk",
    "OpenConsole",
    "PowerMany",
    "PowerOff",
    "PowerOn",
    "RefreshProvider",
    "RemoveImage",
    "RemoveVm",
    "RemoveVmRecord",
    "RestartVm",
    "SealTemplate",
    "ShutdownGuest",
    "SweepProvider",
    "SwitchDisk",
    "TakeBack",
    "VerifyCredentials",
]
