"""A fake of a provider that is asked over HTTP: rows in SQLite that outlive every
process, a ledger of what was made, and faults on demand."""

import json
import sqlite3
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import uuid4

from earmark.domain.connector import Connector
from earmark.domain.deadline import Deadline
from earmark.providers.transport import Answer, Request
from earmark.testing.world import Effect

Json = dict[str, Any]


class Problem(Exception):
    """What the rules of an `HttpFake` raise: an answer that is a definite no.

    `Problem(status, code, message)`: HTTP's status, and what the body tells.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as the rules of an `HttpFake` see it.

    `path`: its parts, unquoted; `headers`: by names in lower case; `token`: ours, by
    the fake's `header`, or empty.
    """

    method: str
    url: str
    path: tuple[str, ...]
    headers: Mapping[str, str]
    body: bytes
    token: str

    @property
    def base(self) -> str:
        """The provider's own address, as whoever asks knows it."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"


@dataclass(frozen=True, slots=True)
class Reply:
    """What the rules of an `HttpFake` answer. `body`: bytes, or else what JSON can
    say."""

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


class HttpFake(ABC):
    """A `World` that is asked over HTTP: in the process through `exchange`, in place of
    the network, or over 127.0.0.1 through `serve`; the rules are the same.

    A subclass says what a request does, in `handle`, and gives the `connector`. It
    keeps its things, each with a kind, an id and a body, in rows: in memory, or in a
    `file` that outlives the process. It does what its API promises and no more. What
    looks at the rows outside of a request holds `turn`: `with self.turn: …`.
    """

    #: The header in which every request that changes something, and no other, brings
    #: our token.
    header = "Idempotency-Key"
    #: What a demanded refusal answers.
    refusal = Problem(409, "refused", "a fault was asked for (simulated)")

    def __init__(self, file: str | Path = ":memory:") -> None:
        self.turn = threading.RLock()
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
        """The connector, with `exchange` in place of the network."""

    @abstractmethod
    def handle(self, asked: Asked) -> Reply:
        """Do what is asked, in one transaction; raises `Problem` for a no."""

    def said_no(self, problem: Problem) -> Reply:
        """How this provider words a no."""
        return Reply({"code": problem.code, "message": str(problem)}, problem.status)

    def reset(self) -> None:
        """Forget everything."""
        with self.turn:
            self._rows.executescript("DELETE FROM things; DELETE FROM made;")

    def effects(self) -> Sequence[Effect]:
        """Everything that was ever made, in order."""
        with self.turn:
            rows = self._rows.execute(
                "SELECT token, id, there FROM made ORDER BY number"
            )
            return [Effect(token, id_, bool(there)) for token, id_, there in rows]

    def fault(self, fault: str, method: str, path: str) -> None:
        """Once, for the next such request that changes something: `refuse` it,
        `lose-request` or `lose-reply`. `path` is how its path begins."""
        rule = {"fault": fault, "method": method, "path": path}
        with self.turn:
            self.put("fault", uuid4().hex, rule)

    def exchange(self, request: Request, deadline: Deadline) -> Answer:
        """Answer in the process: what a client uses in place of the network. Raises
        `NotSent` when the deadline has passed, `ConnectionError` when a fault cuts the
        connection."""
        deadline.check_before_sending()
        answer = self.answer(request)
        if answer is None:
            raise ConnectionError("The connection was cut (simulated).")
        return answer

    def answer(self, request: Request) -> Answer | None:
        """Take a request; None when the connection is cut instead of an answer."""
        asked = self._asked(request)
        with self.turn:
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

    def _asked(self, request: Request) -> Asked:
        parts = urlsplit(request.url)
        path = tuple(unquote(part) for part in parts.path.split("/")[1:])
        headers = {name.lower(): value for name, value in request.headers.items()}
        token = headers.get(self.header.lower(), "")
        return Asked(request.method, request.url, path, headers, request.body, token)

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

    def _fault(self, asked: Asked) -> str:
        if not asked.token:
            return ""
        for number, rule in list(self.all("fault")):
            there = "/" + "/".join(asked.path)
            if rule["method"] == asked.method and there.startswith(rule["path"]):
                self.drop("fault", number)
                return str(rule["fault"])
        return ""

    def get(self, kind: str, id_: str) -> Json | None:
        """One thing's body, or None."""
        found = self._rows.execute(
            "SELECT body FROM things WHERE kind = ? AND id = ?", (kind, id_)
        ).fetchone()
        return json.loads(found[0]) if found else None

    def all(self, kind: str) -> Iterator[tuple[str, Json]]:
        """Every thing of a kind, id and body, the oldest first."""
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
