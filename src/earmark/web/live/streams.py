"""One open page: what it watches, what it has been sent, what still is to be sent."""

import asyncio
from collections.abc import AsyncIterator

from earmark.web.fragments import Fragment, message, signal
from earmark.web.live.compose import EVERY, Shown
from earmark.web.live.topics import PageTopic

BEAT_SECONDS = 15.0
#: Messages that a slow reader may be behind; then it is cut, and starts afresh.
BACKLOG = 32
_END = b""
Messages = dict[tuple[int, ...], bytes]


class Stream:
    """The stream of one page. `news` and `end` are called by any one thread, the rest
    by the event loop that the stream lives in."""

    def __init__(self, topics: frozenset[PageTopic]) -> None:
        self.topics = topics
        self.loop = asyncio.get_running_loop()
        #: Whether it has been told what is.
        self.told = False
        self._put_at = self.loop.time()
        self._in_order = (EVERY, *sorted(topics))
        self._queue: asyncio.Queue[bytes] = asyncio.Queue(BACKLOG + 1)
        self._seen: dict[PageTopic, tuple[Fragment, ...]] = {}
        self._sent: dict[str, Fragment] = {}

    def news(self, shown: Shown, messages: Messages) -> bytes | None:
        """Make the message of what differs from what this page was sent, if anything
        does, for `put`.

        Pages that lack the same share one message, kept in `messages` for a round.
        """
        self.told = True
        changed: list[Fragment] = []
        for topic in self._in_order:
            now = shown.get(topic, ())
            if self._seen.get(topic) == now:
                continue
            self._seen[topic] = now
            changed += [it for it in now if self._sent.get(it.id) != it]
        if not changed:
            return None
        self._sent |= {fragment.id: fragment for fragment in changed}
        key = tuple(id(fragment) for fragment in changed)
        text = messages.get(key)
        if text is None:
            text = messages[key] = message(changed)
        return text

    def end(self, *last: bytes) -> None:
        """Say the last words, and close the stream."""

        def say() -> None:
            for text in (*last, _END):
                self.put(text)

        try:
            self.loop.call_soon_threadsafe(say)
        except RuntimeError:  # the loop is closed, and its readers with it
            return

    async def read(self) -> AsyncIterator[bytes]:
        """Everything that goes to the browser, with a beat when all is silent."""
        yield b": welcome\n\n"
        self._put_at = self.loop.time()
        self._beat()
        try:
            while (text := await self._queue.get()) != _END:
                yield text
        finally:
            self._timer.cancel()

    def _beat(self) -> None:
        # One timer for each silence, not one for each message: those are many.
        silent = self.loop.time() - self._put_at
        if silent >= BEAT_SECONDS:
            self.put(signal("earmark:beat"))
            silent = 0.0
        self._timer = self.loop.call_later(BEAT_SECONDS - silent, self._beat)

    def put(self, text: bytes) -> None:
        """Queue a message, in the stream's own loop; what is too much ends it."""
        self._put_at = self.loop.time()
        if self._queue.qsize() < BACKLOG:
            self._queue.put_nowait(text)
        elif not self._queue.full():
            self._queue.put_nowait(_END)
