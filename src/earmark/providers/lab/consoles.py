"""Opening the consoles of a lab's VMs."""

from earmark.domain.capabilities import Consoles
from earmark.domain.errors import Refused
from earmark.providers.lab.calls import Calls, path
from earmark.providers.rfb import RfbWire, connect


class LabConsoles(Consoles):
    """The lab hands out a password that opens one VM's console once."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def open(self, vm: str) -> RfbWire:
        """Ask for a password and use it."""
        try:
            given = self._calls.ask(path("vms", vm, "console"))
        except Refused as refusal:
            if refusal.code != "wrong-state":
                raise
            hint = "A console needs the VM on: power it on, then open it again."
            raise Refused(str(refusal), hint=hint, code=refusal.code) from refusal
        return connect(
            given["host"], given["port"], given["password"], self._calls.deadline
        )
