"""What the simulated providers have in common: rows in SQLite that outlive every
process, faults on demand, and a server on 127.0.0.1.

A fake can be asked over HTTP, or in the process through `exchange`; the rules are the
same. It does what its API promises and no more: nothing here helps the engine.
"""

import json
import sqlite3
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from earmark import Connector, Deadline
from earmark.providers.transport import Answer, Request
from earmark.testing import Effect
from earmark_certificates.trace import TRACE

Json = dict[str, Any]


class Problem(Exception):
    """An answer that is a definite no."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as a fake's rules see it."""

    method: str
    url: str
    path: tuple[str, ...]
    headers: Mapping[str, str]
    body: bytes

    @property
    def token(self) -> str:
        """Our token, for the ledger alone."""
        return self.headers.get(TRACE.lower(), "")

    @property
    def base(self) -> str:
        """The provider's own address, as whoever asks knows it."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"


@dataclass(frozen=True, slots=True)
class Reply:
    """What a fake's rules answer."""

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


class Fake(ABC):
    """A simulated provider. Subclasses say what a request does, in `handle`."""

    #: What a demanded refusal answers.
    refusal = Problem(409, "refused", "a fault was asked for (simulated)")

    def __init__(self, file: str | Path = ":memory:") -> None:
        self._turn = threading.RLock()
        self._rows = sqlite3.connect(
            str(file), check_same_thread=False, isolation_level=None
        )
        self._rows.executescript(
            "CREATE TABLE IF NOT EXISTS things"
            " (kind TEXT, id TEXT, body TEXT, PRIMARY KEY (kind, id));"
            "CREATE TABLE IF NOT EXISTS made"
            " (number INTEGER PRIMARY KEY, token TEXT, id TEXT, there INTEGER);"
        )

    @property
    @abstractmethod
    def connector(self) -> Connector:
        """The connector, with this fake in place of the network."""

    @abstractmethod
    def handle(self, asked: Asked) -> Reply:
        """Do what is asked, in one transaction; raises `Problem` for a no."""

    def reset(self) -> None:
        """Forget everything."""
        with self._turn:
            self._rows.executescript("DELETE FROM things; DELETE FROM made;")

    def effects(self) -> Sequence[Effect]:
        """Everything that was ever made, in order."""
        with self._turn:
            rows = self._rows.execute(
                "SELECT token, id, there FROM made ORDER BY number"
            )
            return [Effect(token, id_, bool(there)) for token, id_, there in rows]

    def fault(self, fault: str, method: str, path: str) -> None:
        """Once, for the next such request that changes something: `refuse` it,
        `lose-request` or `lose-reply`. `path` is how its path begins."""
        rule = {"fault": fault, "method": method, "path": path}
        with self._turn:
            self.put("fault", uuid4().hex, rule)

    def exchange(self, request: Request, deadline: Deadline) -> Answer:
        """Answer in the process: what a client uses in place of the network."""
        deadline.check_before_sending()
        answer = self.answer(request)
        if answer is None:
            raise ConnectionError("The connection was cut (simulated).")
        return answer

    def answer(self, request: Request) -> Answer | None:
        """Take a request; None when the connection is cut instead of an answer."""
        parts = urlsplit(request.url)
        path = tuple(unquote(part) for part in parts.path.split("/")[1:])
        headers = {name.lower(): value for name, value in request.headers.items()}
        asked = Asked(request.method, request.url, path, headers, request.body)
        with self._turn:
            fault = self._fault(asked)
            if fault == "lose-request":
                return None
            reply = self._handled(asked, refuse=fault == "refuse")
        if fault == "lose-reply":
            return None
        body = reply.body
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        lower = {name.lower(): value for name, value in reply.headers.items()}
        return Answer(reply.status, lower, content)

    def _handled(self, asked: Asked, *, refuse: bool) -> Reply:
        self._rows.execute("BEGIN IMMEDIATE")
        try:
            if refuse:
                raise self.refusal
            reply = self.handle(asked)
        except Problem as problem:
            self._rows.execute("ROLLBACK")
            return self.said_no(problem)
        except BaseException:
            self._rows.execute("ROLLBACK")
            raise
        self._rows.execute("COMMIT")
        return reply

    def said_no(self, problem: Problem) -> Reply:
        """How this provider words a no."""
        return Reply({"code": problem.code, "message": str(problem)}, problem.status)

    def _fault(self, asked: Asked) -> str:
        if not asked.token:
            return ""
        for number, rule in list(self.all("fault")):
            there = "/" + "/".join(asked.path)
            if rule["method"] == asked.method and there.startswith(rule["path"]):
                self.drop("fault", number)
                return str(rule["fault"])
        return ""

    # Rows: what a subclass keeps. A thing is a kind, an id and a body.

    def get(self, kind: str, id_: str) -> Json | None:
        """One thing, or None."""
        found = self._rows.execute(
            "SELECT body FROM things WHERE kind = ? AND id = ?", (kind, id_)
        ).fetchone()
        return json.loads(found[0]) if found else None

    def all(self, kind: str) -> Iterator[tuple[str, Json]]:
        """Every thing of a kind, by id."""
        rows = self._rows.execute(
            "SELECT id, body FROM things WHERE kind = ? ORDER BY rowid", (kind,)
        ).fetchall()
        return ((id_, json.loads(body)) for id_, body in rows)

    def put(self, kind: str, id_: str, body: Json) -> None:
        """Keep a thing, in place of the one that was there."""
        self._rows.execute(
            "INSERT INTO things VALUES (?, ?, ?)"
            " ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body",
            (kind, id_, json.dumps(body)),
        )

    def drop(self, kind: str, id_: str) -> None:
        """Forget a thing."""
        self._rows.execute("DELETE FROM things WHERE kind = ? AND id = ?", (kind, id_))

    def made(self, token: str, id_: str) -> None:
        """Note in the ledger that something was made."""
        self._rows.execute(
            "INSERT INTO made (token, id, there) VALUES (?, ?, 1)", (token, id_)
        )

    def gone(self, id_: str) -> None:
        """Note in the ledger that it is gone."""
        self._rows.execute("UPDATE made SET there = 0 WHERE id = ?", (id_,))


def serve(fake: Fake, port: int) -> ThreadingHTTPServer:
    """Answer on 127.0.0.1 in a thread; `POST /fake/faults` asks for a fault."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.path == "/fake/faults":
                fake.fault(**json.loads(content))
                self._say(Answer(204, {}, b""))
                return
            url = f"http://{self.headers['Host']}{self.path}"
            headers = dict(self.headers.items())
            answer = fake.answer(Request(self.command, url, headers, content))
            if answer is None:
                self.close_connection = True
                return
            self._say(answer)

        def _say(self, answer: Answer) -> None:
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _any

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
