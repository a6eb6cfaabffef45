"""The pages and the API in the test's own process, over a scripted provider whose
commands the test carries out step by step."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
from starlette.applications import Starlette

from earmark.domain.authoring import Ctx, Results, Tx
from earmark.domain.command import Child, Command, Composite
from earmark.domain.errors import EarmarkError, Refused
from earmark.domain.refs import ProviderRef
from earmark.domain.task import Task
from earmark.engine.runtime import Engine
from tests.engine.world import Make, MakeBlindly, Stage


class MakeAllBlindly(Composite[str]):
    """Several things, each of which the provider can tell nothing about."""

    title = "Make {whats} blindly"
    provider: ProviderRef
    whats: tuple[str, ...]

    def children(self, tx: Tx) -> Mapping[str, Command[Any] | Child]:
        return {it: MakeBlindly(provider=self.provider, what=it) for it in self.whats}

    def finish(self, tx: Tx, results: Results) -> str:
        return " ".join(results.of(it, MakeBlindly) for it in self.whats)


class Client:
    """Asks the application, with no server between; redirects are not followed."""

    def __init__(self, app: Starlette) -> None:
        self._app = app

    def get(self, path: str) -> httpx.Response:
        return self._ask("GET", path)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self._ask("POST", path, **options)

    def _ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        async def answer() -> httpx.Response:
            transport = httpx.ASGITransport(self._app)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://127.0.0.1"
            ) as client:
                return await client.request(method, path, **options)

        # In a thread of its own: another test's browser may have left a loop here.
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(asyncio.run, answer()).result()


class Desk:
    """A stage, and somebody with a browser and a script in front of it."""

    def __init__(self, engine: Engine, app: Starlette) -> None:
        self.stage = Stage(engine)
        self.stage.engine.commands.register(MakeAllBlindly)
        self.client = Client(app)

    def held(self, what: str = "bell") -> Task:
        """A task whose one request was lost, at a provider that can tell nothing."""
        self.stage.world.on_send = _lose
        task = self.stage.run(MakeBlindly(provider="p-1", what=what))
        self.stage.world.on_send = None
        assert task.state == "held", task
        return task

    def parts_held(self, *whats: str) -> tuple[Task, list[Task]]:
        """A root of which each part is held, and the parts."""
        self.stage.world.on_send = _lose
        root = self.stage.run(MakeAllBlindly(provider="p-1", whats=whats))
        self.stage.world.on_send = None
        parts = [it for it in self.stage.tasks() if it.parent_id == root.id]
        assert {it.state for it in parts} == {"held"}
        return root, parts

    def failed(self, what: str = "bell") -> Task:
        """A task that the provider refused."""
        self.stage.world.on_send = _refuse
        task = self.stage.run(Make(provider="p-1", what=what))
        self.stage.world.on_send = None
        assert task.outcome == "failed", task
        return task

    def page(self, path: str, status: int = 200) -> str:
        answer = self.client.get(path)
        assert answer.status_code == status, answer.text
        return str(answer.text)

    def send(self, path: str, status: int = 303, **form: str) -> str:
        """Send a form; returns where it leads, or what went wrong."""
        answer = self.client.post(path, data=form)
        assert answer.status_code == status, answer.text
        return str(answer.headers["location"] if status == 303 else answer.text)

    def json(self, path: str) -> Any:
        answer = self.client.get(f"/api/v1{path}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def asks(self, path: str, body: Any = None, **headers: str) -> Any:
        """POST to the API; the answer must be 202 and name its task."""
        answer = self.client.post(f"/api/v1{path}", json=body, headers=headers)
        assert answer.status_code == 202, answer.text
        found = answer.json()
        assert answer.headers["location"] == f"/api/v1/tasks/{found['id']}"
        return found

    def problem(self, path: str, status: int, body: Any = None) -> dict[str, Any]:
        """POST to the API what cannot be; returns what it says."""
        answer = self.client.post(f"/api/v1{path}", json=body)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        found: dict[str, Any] = answer.json()
        return found


def main_of(page: str) -> str:
    """What the page is about, without the panel of the newest tasks at its foot."""
    return page.partition("<main")[2].partition("</main>")[0]


def _lose(what: str, ctx: Ctx) -> str:
    raise EarmarkError("The connection broke.")


def _refuse(what: str, ctx: Ctx) -> str:
    raise Refused("Not today.")
