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


class Stream:
    """The stream of one page. `offer` is called by the watcher's thread, the rest by
    the event loop that the stream lives in."""

    def __init__(self, topics: frozenset[PageTopic]) -> None:
        self.topics = topics
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[bytes] = asyncio.Queue(BACKLOG + 1)
        self._seen: dict[PageTopic, tuple[Fragment, ...]] = {}
        self._sent: dict[str, Fragment] = {}

    def offer(self, shown: Shown, messages: dict[tuple[int, ...], bytes]) -> None:
        """Queue what differs from what this page was sent.

        Pages that lack the same share one message, kept in `messages` for a round.
        """
        changed: list[Fragment] = []
        for topic in (EVERY, *sorted(self.topics)):
            now = shown.get(topic, ())
            if self._seen.get(topic) == now:
                continue
            self._seen[topic] = now
            changed += [it for it in now if self._sent.get(it.id) != it]
        if not changed:
            return
        self._sent |= {fragment.id: fragment for fragment in changed}
        key = tuple(id(fragment) for fragment in changed)
        text = messages.get(key)
        if text is None:
            text = messages[key] = message(changed)
        self._later(text)

    def end(self, *last: bytes) -> None:
        """Say the last words, and close the stream."""
        for text in (*last, _END):
            self._later(text)

    async def read(self) -> AsyncIterator[bytes]:
        """Everything that goes to the browser, with a beat when all is silent."""
        yield b": welcome\n\n"
        while True:
            try:
                async with asyncio.timeout(BEAT_SECONDS):
                    text = await self._queue.get()
            except TimeoutError:
                text = signal("earmark:beat")
            if text == _END:
                return
            yield text

    def _later(self, text: bytes) -> None:
        try:
            self._loop.call_soon_threadsafe(self._put, text)
        except RuntimeError:  # the loop is closed, and its readers with it
            return

    def _put(self, text: bytes) -> None:
        if self._queue.qsize() < BACKLOG:
            self._queue.put_nowait(text)
        elif not self._queue.full():
            self._queue.put_nowait(_END)
