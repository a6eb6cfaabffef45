"""The site's console port: one for all machines; the password tells which is meant."""

import asyncio
import secrets
import time
from collections.abc import Callable
from contextlib import suppress

from earmark.lab.config import LOOPBACK
from earmark.lab.consoles.screen import Screen
from earmark.lab.consoles.viewer import Gone, Viewer
from earmark.lab.model import Json, Refused
from earmark.lab.site import Site

#: How long a password may be used, once, in seconds.
TICKET_SECONDS = 30.0
_GREETING_SECONDS = 10.0


class Consoles:
    """Hands out passwords and serves the screens of the machines that are on.

    All of it is in memory: a lab that is started again knows none of its clients, as
    a provider's host would not.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._screens: dict[str, Screen] = {}
        self._tickets: dict[str, tuple[str, float]] = {}
        self._open: dict[asyncio.Task[None], str] = {}
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._serve, LOOPBACK, 0)

    def close(self) -> None:
        """Listen no more, and end every connection."""
        if self._server is not None:
            self._server.close()
        for task in self._open:
            task.cancel()

    def ticket(self, vm_id: str) -> Json:
        """Return where a machine's console is, and a password that opens it once.

        Raises Refused (404, 409) when there is no such machine, or it is not on.
        """
        vm = self._site.row("SELECT * FROM vms WHERE id = ?", vm_id)
        if vm is None:
            raise Refused(404, "not-found", "there is no such virtual machine")
        if vm["power_state"] != "on":
            state = vm["power_state"]
            raise Refused(409, "wrong-state", f"the virtual machine is {state}")
        assert self._server is not None
        self._screens.setdefault(vm_id, Screen(vm["name"]))
        password = secrets.token_urlsafe(6)  # eight characters, all that RFB looks at
        self._tickets[password] = vm_id, time.monotonic() + TICKET_SECONDS
        return {
            "host": LOOPBACK,
            "port": self._server.sockets[0].getsockname()[1],
            "password": password,
            "expires_in": TICKET_SECONDS,
        }

    def tick(self) -> None:
        """End the consoles of machines that are on no longer; forget old passwords."""
        now = time.monotonic()
        self._tickets = {p: t for p, t in self._tickets.items() if t[1] > now}
        if not self._screens:
            return
        rows = self._site.rows("SELECT id FROM vms WHERE power_state = 'on'")
        for vm_id in set(self._screens) - {row["id"] for row in rows}:
            del self._screens[vm_id]
            for task, shown in self._open.items():
                if shown == vm_id:
                    task.cancel()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = ""
        greeting = asyncio.get_running_loop().call_later(_GREETING_SECONDS, task.cancel)

        def admit(knows: Callable[[str], bool]) -> Screen | None:
            greeting.cancel()
            self.tick()
            for password, (vm_id, _) in self._tickets.items():
                if knows(password):
                    del self._tickets[password]
                    self._open[task] = vm_id
                    return self._screens.get(vm_id)
            return None

        try:
            ended = (Gone, OSError, EOFError, asyncio.CancelledError)
            with suppress(*ended):
                await Viewer(reader, writer, admit).serve()
        finally:
            greeting.cancel()
            del self._open[task]
            writer.close()
