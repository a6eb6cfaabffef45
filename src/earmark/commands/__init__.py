"""The commands that ship with Earmark: power, templates, credentials, inventory."""

from earmark.commands.credentials import VerifyCredentials
from earmark.commands.power import PowerOff, PowerOn, ShutdownGuest
from earmark.commands.refresh import RefreshProvider
from earmark.commands.template import AddVmTemplate, CreateImageTemplate, SealTemplate

__all__ = [
    "AddVmTemplate",
    "CreateImageTemplate",
    "PowerOff",
    "PowerOn",
    "RefreshProvider",
    "SealTemplate",
    "ShutdownGuest",
    "VerifyCredentials",
]
