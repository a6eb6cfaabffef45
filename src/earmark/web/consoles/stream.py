"""A browser's stream: its ticket, the wait for a worker, the pump, the end.

Until the console is ready the server says in JSON how far it is; then come bytes only.
It says in JSON why it ended, too, before it closes.
"""

import asyncio
import json
import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.websockets import WebSocket, WebSocketDisconnect

from earmark.commands.console import Ticket, use_ticket
from earmark.domain.errors import EarmarkError
from earmark.domain.inventory import PowerState
from earmark.domain.states import TaskState
from earmark.domain.task import LOCAL_OWNER, Task
from earmark.engine.cancel import cancel
from earmark.engine.explain import waiting_for
from earmark.store import consoles, inventory, tasks
from earmark.store.database import Transaction
from earmark.web.consoles.meetings import Ending, Meeting
from earmark.web.consoles.pump import Pump
from earmark.web.reading.tasks import busy_on
from earmark.web.site import Site, told

_log = logging.getLogger(__name__)

#: How long the first message may take.
GREETING_SECONDS = 5.0
#: After so long a console that has not opened says why, and is given up.
OPENING_SECONDS = 10.0
#: How often somebody who waits is told what for.
TELL_SECONDS = 0.5
#: How long the browser is not told of the end while that is being written down.
WRITE_SECONDS = 2.0
#: A WebSocket close code of our own: the message before it says why.
CLOSED = 4000
#: Ends that are being written down; the loop alone would not keep them.
_ends: set[asyncio.Task[None]] = set()


class Refusal(Exception):
    """The stream is not begun; `ending` says why."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.ending = Ending(code, reason)


@dataclass(frozen=True)
class _Asked:
    """The first message, as it came."""

    ticket: Ticket
    take_over: bool
    instead_of: str


async def serve(site: Site, browser: WebSocket, console: str, session: str) -> None:
    """Serve one browser, from its first message to the end."""
    await browser.accept()
    meeting = site.consoles.expect(console)
    try:
        try:
            ending = await _serve(site, browser, meeting, session)
        except Refusal as refusal:
            ending = refusal.ending
        except EarmarkError as error:
            ending = Ending(error.code, told(error))
        except (WebSocketDisconnect, RuntimeError):
            ending = Ending("left", "The browser left.")
        await _say(browser, "ended", code=ending.code, text=ending.reason)
        with suppress(WebSocketDisconnect, RuntimeError):
            await browser.close(CLOSED)
    finally:
        site.consoles.over(meeting)


async def _serve(
    site: Site, browser: WebSocket, meeting: Meeting, session: str
) -> Ending:
    asked = await _first_message(browser, meeting.console)
    task = await run_in_threadpool(_use, site, meeting, asked, session)
    ending = Ending("left", "The browser left.")
    try:
        relay = await _wait(site, browser, meeting, task)
        if not await run_in_threadpool(_opened, site, meeting.console):
            raise Refusal("taken-over", "Somebody else took this console over.")
        await _say(browser, "ready")
        pump = Pump(browser, relay, site.settings.console_idle_seconds)
        ending = await pump.run(meeting)
        if ending.code == "provider":
            reason = await run_in_threadpool(site.read, lambda tx: _why(tx, asked))
            ending = Ending("provider", reason)
    except Refusal as refusal:
        ending = refusal.ending
    finally:
        # Written down before the browser hears of it, and may come again; but a store
        # that takes it late (a worker stands still on its lock) keeps nobody waiting.
        end = asyncio.create_task(_write_end(site, meeting.console, task.id, ending))
        _ends.add(end)
        end.add_done_callback(_ends.discard)
        await asyncio.wait({end}, timeout=WRITE_SECONDS)
    return ending


async def _write_end(site: Site, console: str, task_id: str, ending: Ending) -> None:
    try:
        await run_in_threadpool(_end, site, console, task_id, ending.reason)
    except Exception as error:  # noqa: BLE001 - nobody waits for it any more
        # It counts as ended soon, since nobody says any more that it is looked at.
        _log.warning("the end of a console could not be written down: %s", error)


async def _first_message(browser: WebSocket, console: str) -> _Asked:
    """Read the ticket. Nothing of what came is ever repeated: it may be secret."""
    try:
        async with asyncio.timeout(GREETING_SECONDS):
            said: Any = json.loads(await browser.receive_text())
        ticket = Ticket(console, str(said["vm"]), str(said["ticket"]))
        before = str(said.get("instead_of") or "")
        if not f"{ticket.vm}{ticket.secret}{before}".isprintable():
            raise ValueError("not all of it can be asked of a store")
        return _Asked(ticket, said.get("take_over") is True, before)
    except (TimeoutError, ValueError, TypeError, KeyError, AttributeError):
        raise Refusal("ticket", "The first message must hold a ticket.") from None


def _use(site: Site, meeting: Meeting, asked: _Asked, session: str) -> Task:
    try:
        return site.transact(
            lambda tx: use_ticket(
                tx,
                asked.ticket,
                session,
                address=site.consoles.address,
                relay=meeting.secret,
                take_over=asked.take_over,
                instead_of=asked.instead_of,
            )
        )
    except EarmarkError as error:
        raise Refusal(error.code, told(error)) from error


async def _wait(
    site: Site, browser: WebSocket, meeting: Meeting, task: Task
) -> WebSocket:
    """Wait for the worker, and say meanwhile what for; raises `Refusal` when it does
    not come: never later than `OPENING_SECONDS`."""
    loop = asyncio.get_running_loop()
    end = loop.time() + OPENING_SECONDS
    over = asyncio.ensure_future(site.watcher.over(task.id, OPENING_SECONDS))
    gone = asyncio.ensure_future(browser.receive())  # it has nothing to say now
    first: set[asyncio.Future[Any]] = {meeting.came, meeting.ended, over, gone}
    text = ""
    try:
        while True:
            await asyncio.wait(
                first, timeout=TELL_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            if meeting.came.done():
                return meeting.came.result()
            if gone.done():
                raise Refusal("left", "The browser left.")
            if meeting.ended.done():
                found = meeting.ended.result()
                raise Refusal(found.code, found.reason)
            code, said = await run_in_threadpool(
                site.read, lambda tx: _how_it_stands(tx, task.id)
            )
            late = loop.time() >= end
            if code or late:
                raise Refusal(code or "slow", f"It did not open. {said}".strip())
            if said != text:
                text = said
                await _say(browser, "waiting", text=text)
    finally:
        over.cancel()
        gone.cancel()


def _how_it_stands(tx: Transaction, task_id: str) -> tuple[str, str]:
    """A code when it will not open any more, and what to say."""
    task = tasks.find(tx, task_id)
    if task is None:
        return "gone", "Its task is not there any more."
    if task.done:
        error = task.error or {}
        said = error.get("message") or task.message or f"It was {task.outcome}."
        return str(error.get("code") or task.outcome), said
    reason = waiting_for(tx, [task]).get(task_id)
    if reason is None:
        return "", "A worker asks the provider for the console."
    if reason.kind == "worker" and task.state is TaskState.QUEUED:
        return "no-worker", f"There is {reason.text}."
    return "", f"Waiting for {reason.text}."


def _opened(site: Site, console: str) -> bool:
    return site.engine.write(lambda tx: consoles.opened(tx, console))


def _end(site: Site, console: str, task_id: str, reason: str) -> None:
    """Write the end down, and stop a task for which nobody waits."""
    site.engine.write(lambda tx: consoles.end(tx, [console], reason))
    task = site.read(lambda tx: tasks.find(tx, task_id))
    if task is not None and not task.done:
        with suppress(EarmarkError):
            cancel(site.engine, task_id, LOCAL_OWNER)


def _why(tx: Transaction, asked: _Asked) -> str:
    """Why a provider may have ended a console, as far as we know."""
    vm = inventory.vm(tx, asked.ticket.vm)
    busy = busy_on(tx, "vm", [vm.id]).get(vm.id)
    if busy is not None:
        return f"The provider ended this console while “{busy.title}” ran."
    if vm.power_state is not PowerState.ON:
        return f"The provider ended this console: {vm.name} is {vm.power_state}."
    return f"The provider ended this console. {vm.name} was last seen on."


async def _say(browser: WebSocket, state: str, **more: str) -> None:
    with suppress(WebSocketDisconnect, RuntimeError):
        await browser.send_text(json.dumps({"state": state, **more}))
