"""Consoles: a ticket for a browser, its one use, and the task that opens the console.

Nothing is asked of a provider before the ticket is used. Then the web process that has
the browser is known, and a worker of the VM's zone joins it there.
"""

import secrets
from dataclasses import dataclass

from earmark.commands.relay import Relay
from earmark.domain.authoring import Ctx, Tx
from earmark.domain.capabilities import Consoles
from earmark.domain.command import Action, Deadlines
from earmark.domain.console import ConsoleState
from earmark.domain.errors import ProviderError, Rejected
from earmark.domain.ids import new_id
from earmark.domain.outcome import Done
from earmark.domain.refs import VmRef
from earmark.domain.secret import Secret
from earmark.domain.task import LOCAL_OWNER, Task
from earmark.engine.crew import no_worker
from earmark.engine.house_tx import house_tx
from earmark.engine.tx import EngineTx
from earmark.store import consoles, journal

TAKEN_OVER = "Somebody else took this console over."


@dataclass(frozen=True, slots=True)
class Ticket:
    """What opens a console once: the id says which, the secret that one may."""

    console: str
    vm: str
    secret: str

    def __repr__(self) -> str:
        return f"Ticket({self.console})"


def issue_ticket(tx: EngineTx, vm: str, session: str) -> Ticket:
    """Give a ticket for a VM to the browser whose cookie says `session`.

    Raises `UnknownName` without such a VM, `Rejected` (code `no-worker`) when nobody
    could open its console now.
    """
    found = tx.vm(vm)
    provider = tx.provider(found.provider_id)
    if no_worker(tx.store, provider.zone, OpenConsole.role):
        raise Rejected(
            f"No live worker with role {OpenConsole.role} in zone {provider.zone} "
            "could open it.",
            hint="Start one there, then try again.",
            code="no-worker",
        )
    ticket = Ticket(new_id(), found.id, secrets.token_urlsafe(32))
    consoles.issue(
        tx.store,
        ticket.console,
        vm_id=found.id,
        provider_id=provider.id,
        session=session,
        ticket=ticket.secret,
    )
    return ticket


def use_ticket(
    tx: EngineTx,
    ticket: Ticket,
    session: str,
    *,
    address: str,
    relay: str,
    take_over: bool = False,
    instead_of: str = "",
) -> Task:
    """Use a ticket, once, and queue the task that opens its console.

    `address` is where workers reach this web process, `relay` the secret with which one
    of them may join there. Raises `Rejected`, and then the ticket is as it was: code
    `ticket` when it is not good, `in-use` when others look at the VM and were not to be
    ended (`take_over`). A console of this very browser may be given up (`instead_of`).
    """
    consoles.one_at_a_time(tx.store, ticket.vm)
    good = consoles.claim(
        tx.store,
        ticket.console,
        vm_id=ticket.vm,
        session=session,
        ticket=ticket.secret,
        address=address,
    )
    if not good:
        raise Rejected(
            "This ticket was used, is older than 30 seconds, or was given to another "
            "browser or for another VM.",
            hint="Connect again: that takes a new one.",
            code="ticket",
        )
    consoles.come_back(tx.store, instead_of, session)
    others = consoles.others_on(tx.store, ticket.vm, ticket.console)
    if others and not take_over:
        raise Rejected("Somebody looks at this console already.", code="in-use")
    consoles.end(tx.store, [other.id for other in others], TAKEN_OVER)
    for other in others:
        journal.note(tx.store, LOCAL_OWNER, "take-over", other.task_id, vm=ticket.vm)
    command = OpenConsole(vm=ticket.vm, console=ticket.console, relay=Secret(relay))
    task = command.enqueue(tx)
    consoles.asked_of(tx.store, ticket.console, task.id)
    return task


class OpenConsole(Action[str]):
    """Connect a VM's console to the browser that waits for it; pages ask for this. The
    result is the console's id. The picture goes on after the task has ended."""

    title = "Open the console of {vm}"
    #: Who waits looks at it: after ten seconds the page has said why it did not open.
    deadlines = Deadlines(call=8.0, start=10.0)

    vm: VmRef
    console: str
    relay: Secret

    def check(self, tx: Tx) -> None:
        console = house_tx(tx).console(self.console)
        if (console.state, console.vm_id) != (ConsoleState.CLAIMED, self.vm):
            raise Rejected(
                "No browser waits for this console.",
                hint="Open it from the VM's page.",
            )

    def run(self, ctx: Ctx) -> Done[str]:
        console = ctx.save(lambda tx: house_tx(tx).console(self.console))
        if console.state is not ConsoleState.CLAIMED:
            raise Rejected(f"Nobody waits for it any more. {console.reason}".strip())
        vm = ctx.vm(self.vm)
        try:
            wire = ctx.connect(Consoles).open(vm.external_id)
        except TimeoutError as silence:
            raise ProviderError(
                "The provider did not answer in time.", code="timeout"
            ) from silence
        try:
            secret = ctx.reveal(self.relay)
            ctx.attend(Relay.dial(console.address, console.id, secret, wire))
        except BaseException:
            wire.close()
            raise
        return Done(console.id, f"The console of {vm.name} is open.")
