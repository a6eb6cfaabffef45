"""The page of a console."""

from dataclasses import dataclass

from earmark.web.pages import Page
from earmark.web.policy import CONSOLE_POLICY
from earmark.web.views import VmView


@dataclass(frozen=True)
class ConsolePage(Page):
    """A VM's screen: first the wait for it, then the screen itself."""

    template = "console.html"
    section = "vms"
    security_policy = CONSOLE_POLICY
    vm: VmView

    @property
    def heading(self) -> str:
        """Whose screen it is."""
        return f"Console of {self.vm.name}"
