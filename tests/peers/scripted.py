"""The faithful provider of every class behind HTTP, for worker processes of their own.

The server lives in the test's process, with its ledger at hand. A worker finds the
connector as any installed package's: `installed` writes what pip would have. What is
asked for are the commands of `tests/engine/world.py` and `tests/crash/provider.py`.
"""

import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar, cast

from pydantic import BaseModel

from earmark.domain.authoring import Ctx
from earmark.domain.connector import EffectClass, Operation, ProviderConfig
from earmark.domain.deadline import Deadline
from earmark.domain.errors import JobUnknown, Refused
from earmark.domain.outcome import Done, Found
from earmark.engine.ctx import EngineCtx
from earmark.providers.transport import Request, exchange
from tests.crash.provider import FaithfulConnector, Ledger

C = TypeVar("C")
KIND = "scripted-http"
#: The modules with its commands, for EARMARK_COMMANDS.
COMMANDS = ("tests.engine.world", "tests.crash.provider")
_REFUSED = 409


class RemoteLedger(Ledger):
    """The client: the same calls, over our own transport."""

    def __init__(self, url: str, deadline: Deadline) -> None:
        super().__init__()
        self._url = url
        self._deadline = deadline

    def send(self, what: str, ctx: Ctx) -> str:
        assert isinstance(ctx, EngineCtx)
        effect = ctx.placeholder.effect
        return str(self._call("send", token=ctx.token, what=what, effect=effect))

    def find(self, token: str) -> list[Found]:
        return [Found(job, mark=token) for job in self._call("find", token=token)]

    def of_kind(self, token: str, what: str) -> list[Found]:
        return [Found(job) for job in self._call("of_kind", token=token, what=what)]

    def poll(self, job: str) -> Any:
        result = self._call("poll", job=job)
        if result is None:
            raise JobUnknown("no such job")
        return Done(result)

    def _call(self, verb: str, **words: str) -> Any:
        body = json.dumps(words).encode()
        request = Request("POST", f"{self._url}/{verb}", {}, body)
        answer = exchange(request, self._deadline, ssl.create_default_context())
        if answer.status == _REFUSED:
            raise Refused("there is one of that name", code="exists")
        return json.loads(answer.body)


class ScriptedSettings(BaseModel):
    """Where it listens."""

    url: str


class ScriptedHttp:
    """The kind of provider; its session is itself, at a URL."""

    kind = KIND
    title = "Scripted, over HTTP"
    settings: type[BaseModel] = ScriptedSettings
    secrets: Mapping[str, str] = MappingProxyType({})
    operations: Mapping[str, Operation] = MappingProxyType(
        {
            name: replace(
                operation,
                max_in_flight=timedelta(seconds=2),
                send_seconds=30.0,
                poll_seconds=0.2,
            )
            for name, operation in FaithfulConnector.operations.items()
        }
    )

    def __init__(self, url: str = "") -> None:
        self._url = url

    def open(self, config: ProviderConfig) -> "ScriptedHttp":
        assert isinstance(config.settings, ScriptedSettings)
        return ScriptedHttp(config.settings.url)

    def capability(self, capability: type[C], deadline: Deadline) -> C:
        return cast(C, RemoteLedger(self._url, deadline))

    def close(self) -> None:
        pass


CONNECTOR = ScriptedHttp()


class ScriptedServer:
    """The provider's side: a ledger that answers HTTP."""

    def __init__(self) -> None:
        self.ledger = ledger = Ledger()
        turn = threading.Lock()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                words = json.loads(self.rfile.read(length))
                with turn:
                    try:
                        status, answer = 200, _answer(ledger, self.path, words)
                    except Refused:
                        status, answer = _REFUSED, None
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop to answer."""
        self._server.shutdown()
        self._server.server_close()


def _answer(ledger: Ledger, path: str, words: Mapping[str, str]) -> Any:
    match path:
        case "/send":
            ledger.journal.append(("send", words["token"]))
            effect = EffectClass(words["effect"])
            return ledger.land(words["token"], words["what"], effect)
        case "/find":
            return [found.id for found in ledger.find(words["token"])]
        case "/of_kind":
            return [f.id for f in ledger.of_kind(words["token"], words["what"])]
        case _:
            job = words["job"]
            return ledger.poll(job).result if job in ledger.made else None


@contextmanager
def scripted_server() -> Iterator[ScriptedServer]:
    """A server for one test."""
    server = ScriptedServer()
    try:
        yield server
    finally:
        server.close()


def installed(folder: Path) -> Path:
    """Write what an installed package with this connector looks like; a worker finds
    it once the folder is in PYTHONPATH."""
    about = folder / "scripted_http-1.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: scripted-http\nVersion: 1\n"
    )
    (about / "entry_points.txt").write_text(
        f"[earmark.connectors]\n{KIND} = {__name__}:CONNECTOR\n"
    )
    return folder
