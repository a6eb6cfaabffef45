"""Where a browser's stream and the worker that opens its console find each other, and
who tells both that it is over. One for the web process; used by its event loop alone.
"""

import asyncio
import hmac
import logging
import secrets
from dataclasses import dataclass, field

from starlette.concurrency import run_in_threadpool
from starlette.websockets import WebSocket

from earmark.domain.errors import EarmarkError
from earmark.engine.runtime import Engine
from earmark.store import consoles
from earmark.store.database import Transaction

#: How often the database is asked whether a console was ended by somebody else.
LOOK_SECONDS = 0.5
#: How often it is told that browsers still look; well below `consoles.QUIET`.
TOUCH_SECONDS = 10.0
#: How long browsers are given to hear that the server stops.
GOODBYE_SECONDS = 0.5

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Ending:
    """Why a console is over: a word for programs, a sentence for people."""

    code: str
    reason: str


@dataclass(eq=False)
class Meeting:
    """One browser that waits for a worker. `secret` lets one worker in, once."""

    console: str
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    came: asyncio.Future[WebSocket] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    ended: asyncio.Future[Ending] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the browser's side is over: the worker's connection may go."""
    found: bool = False
    """Whether a worker has used the secret."""

    def join(self, relay: WebSocket) -> None:
        """The worker is here."""
        self.came.set_result(relay)

    def end(self, code: str, reason: str) -> None:
        """Let it be over; the first reason counts."""
        if not self.ended.done():
            self.ended.set_result(Ending(code, reason))


class Meetings:
    """All of this process. `address` is where workers reach it."""

    def __init__(self, engine: Engine) -> None:
        self.address = ""
        self._engine = engine
        self._all: set[Meeting] = set()
        self._closed = False
        self._looking: asyncio.Task[None] | None = None

    def expect(self, console: str) -> Meeting:
        """Begin one; give it back to `over` at the end."""
        meeting = Meeting(console)
        self._all.add(meeting)
        if self._closed:
            meeting.end("restart", "This server is being stopped.")
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        return meeting

    def find(self, console: str, secret: str) -> Meeting | None:
        """The meeting that a worker may join with this secret, once; None: it may not,
        or nobody waits any more."""
        for meeting in self._all:
            same = hmac.compare_digest(meeting.secret.encode(), secret.encode())
            if same and meeting.console == console and not meeting.found:
                meeting.found = True
                return meeting
        return None

    def over(self, meeting: Meeting) -> None:
        """Forget it."""
        meeting.left.set()
        self._all.discard(meeting)

    async def close(self) -> None:
        """End them all: the server stops. Gives them a moment to say so."""
        self._closed = True
        for meeting in self._all:
            meeting.end("restart", "This server was stopped or started again.")
        waits = [asyncio.ensure_future(meeting.left.wait()) for meeting in self._all]
        if waits:
            await asyncio.wait(waits, timeout=GOODBYE_SECONDS)
        if self._looking is not None:
            self._looking.cancel()

    async def _look(self) -> None:
        """As long as anybody looks: one question for all, and now and then a word."""
        told_at = asyncio.get_running_loop().time()
        while self._all:
            await asyncio.sleep(LOOK_SECONDS)
            ids = [meeting.console for meeting in self._all]
            try:
                ended = await run_in_threadpool(self._ended, ids)
                now = asyncio.get_running_loop().time()
                if now - told_at >= TOUCH_SECONDS:
                    told_at = now
                    await run_in_threadpool(self._touch, ids)
            except EarmarkError as error:
                _log.warning("consoles cannot be looked after: %s", error)
                continue
            for meeting in self._all:
                if meeting.console in ended:
                    meeting.end("taken-over", ended[meeting.console])

    def _ended(self, ids: list[str]) -> dict[str, str]:
        return self._engine.read(lambda tx: consoles.ended_among(tx, ids))

    def _touch(self, ids: list[str]) -> None:
        def work(tx: Transaction) -> None:
            consoles.touch(tx, ids)

        self._engine.write(work)
