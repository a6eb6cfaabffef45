"""The watcher: one thread that looks for everybody who looks at a page or waits.

Whatever the number of browsers, a change costs one reading transaction; see `compose`.
"""

import asyncio
import logging
import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from earmark.domain.errors import EarmarkError, Unavailable
from earmark.engine.runtime import Engine
from earmark.store.wakeups import Signal, Topic
from earmark.web.fragments import signal
from earmark.web.live.compose import EVERY, Composer, Shown
from earmark.web.live.streams import Messages, Stream
from earmark.web.live.topics import PageTopic
from earmark.web.reading import tasks

#: At most this often does the watcher look, however much is committed.
ROUND_SECONDS = 0.05
#: Even if every wake-up is lost, it looks this often while anybody is there.
SAFETY_SECONDS = 2.0
#: So long is left out what could not be shown.
BAD_SECONDS = 30.0
#: So long a loop may take to pass its messages on before the watcher goes on without.
LOOP_SECONDS = 1.0

_log = logging.getLogger(__name__)


class Watcher:
    """Knows the open streams and the waits, and tells them what has changed."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._composer = Composer()
        self._shown: Shown = {}
        #: What could not be shown, and until when it is left out.
        self._bad: dict[PageTopic, float] = {}
        self._streams: set[Stream] = set()
        self._waits: set[tuple[str, asyncio.Future[None]]] = set()
        self._lock = threading.Lock()
        self._closed = False
        self._thread: threading.Thread | None = None
        self._signal: Signal | None = None

    @contextmanager
    def stream(self, topics: frozenset[PageTopic]) -> Iterator[Stream]:
        """Open a stream for a page; it is told all that the page shows, at once."""
        made = Stream(topics)
        with self._lock:
            self._streams.add(made)
            closed = self._closed
        if closed:
            made.end(signal("earmark:bye"))
        self._look()
        try:
            yield made
        finally:
            with self._lock:
                self._streams.discard(made)

    async def over(self, task_id: str, seconds: float) -> None:
        """Return when the task is over, or the time, or this server."""
        wait = (task_id, asyncio.get_running_loop().create_future())
        with self._lock:
            if self._closed:
                return
            self._waits.add(wait)
        self._look()
        try:
            async with asyncio.timeout(seconds):
                await wait[1]
        except TimeoutError:
            return
        finally:
            with self._lock:
                self._waits.discard(wait)

    def close(self) -> None:
        """Say goodbye to every page, and let every wait go."""
        with self._lock:
            self._closed = True
            streams, waits = set(self._streams), set(self._waits)
        for stream in streams:
            stream.end(signal("earmark:bye"))
        self._release(waits)
        if self._signal is not None:
            self._signal.set()

    def _look(self) -> None:
        """Look now, and start to when this is the first who wants to know."""
        with self._lock:
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(
                    target=self._run, name="earmark-watch", daemon=True
                )
                self._thread.start()
        if self._signal is not None:
            self._signal.set()

    def _run(self) -> None:
        with self._engine.database.wakeups.subscribe(Topic.CHANGES) as changed:
            self._signal = changed
            while not self._closed:
                began = time.monotonic()
                look_again = math.inf
                try:
                    look_again = self._round()
                except EarmarkError as error:
                    _log.warning("the pages cannot be kept up to date: %s", error)
                except Exception:  # noqa: BLE001 - one bad round must not be the last
                    _log.exception("a round of the watcher failed")
                rest = look_again - time.monotonic()
                changed.wait(max(0.0, min(SAFETY_SECONDS, rest)))
                time.sleep(max(0.0, began + ROUND_SECONDS - time.monotonic()))

    def _round(self) -> float:
        """Look once for all. Returns when, by the monotonic clock, there is something
        to look at again although nothing is heard of a change."""
        look_again = math.inf
        with self._lock:
            streams, waits = set(self._streams), set(self._waits)
        if streams:
            topics = {topic for stream in streams for topic in stream.topics}
            self._tell(streams, self._compose(topics))
            look_again = self._composer.rests_until
        if waits:
            ids = {task_id for task_id, _ in waits}
            ended = self._engine.read(lambda tx: tasks.over(tx, ids))
            self._release({wait for wait in waits if wait[0] in ended})
        return look_again

    def _compose(self, topics: set[PageTopic]) -> Shown:
        """Show all of them. One that cannot be shown stands in no other's way: it is
        found by itself, and left out for a while."""
        now = time.monotonic()
        self._bad = {topic: until for topic, until in self._bad.items() if until > now}
        good = topics - self._bad.keys()
        try:
            return self._read(good)
        except Unavailable:
            raise
        except Exception:  # noqa: BLE001 - it is said below which one it is
            for topic in good:
                try:
                    self._read({topic})
                except Unavailable:
                    raise
                except Exception:  # noqa: BLE001 - whatever it is, it is a bug of ours
                    _log.exception("%r cannot be shown", topic)
                    self._bad[topic] = now + BAD_SECONDS
            return self._read(good - self._bad.keys())

    def _read(self, topics: set[PageTopic]) -> Shown:
        return self._engine.read(lambda tx: self._composer.compose(tx, topics))

    def _tell(self, streams: set[Stream], shown: Shown) -> None:
        before, self._shown = self._shown, shown
        changed = {topic for topic, now in shown.items() if before.get(topic) != now}
        for_all = EVERY in changed
        messages: Messages = {}
        news: dict[asyncio.AbstractEventLoop, list[tuple[Stream, bytes]]] = {}
        for stream in streams:
            if stream.told and not for_all and changed.isdisjoint(stream.topics):
                continue
            text = stream.news(shown, messages)
            if text is not None:
                news.setdefault(stream.loop, []).append((stream, text))
        for loop, told in news.items():
            _hand_over(loop, told)

    @staticmethod
    def _release(waits: set[tuple[str, asyncio.Future[None]]]) -> None:
        for _, future in waits:
            try:
                future.get_loop().call_soon_threadsafe(_settle, future)
            except RuntimeError:  # the loop is closed, and nobody waits in it
                continue


def _hand_over(
    loop: asyncio.AbstractEventLoop, told: list[tuple[Stream, bytes]]
) -> None:
    """Give all the streams of a loop their messages at once, and wait until they are on
    their way: a loop that is busy with thousands is not given more meanwhile."""
    on_their_way = threading.Event()

    def put() -> None:
        for stream, text in told:
            stream.put(text)
        # Behind the readers, who are ready to run now.
        loop.call_soon(on_their_way.set)

    try:
        loop.call_soon_threadsafe(put)
    except RuntimeError:  # the loop is closed, and its readers with it
        return
    on_their_way.wait(LOOP_SECONDS)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
