"""The two providers that a schedule can have inside the test's process: the faithful
one, and the lab, whose own code answers without a network between."""

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import unquote, urlsplit

import sqlalchemy as sa
from starlette.applications import Starlette
from starlette.types import Message

from earmark.commands.onboarding import seal_all
from earmark.domain.capabilities import InventorySource, Marked
from earmark.domain.connector import EffectClass
from earmark.domain.deadline import Deadline
from earmark.domain.inventory import Provider as ProviderRow
from earmark.domain.task import Task
from earmark.engine.enqueue import transact
from earmark.engine.house_tx import HouseTx
from earmark.engine.runtime import Engine
from earmark.engine.tx import EngineTx
from earmark.lab import LabConfig, api, ledger, tasks
from earmark.lab.seed import DEMO, seed
from earmark.lab.site import Site
from earmark.providers.lab.jobs import MADE
from earmark.providers.transport import Answer, Request
from earmark.store import consoles as console_rows
from earmark.store import inventory, orphans
from earmark.store import placeholders as effects
from earmark.store import tasks as rows
from earmark.store.schema import (
    consoles,
    disks,
    snapshots,
    templates,
    tenants,
    vms,
)
from earmark.testing import invariants
from earmark.testing.drive import Outside
from tests.crash import cases
from tests.crash.provider import ALL, FaithfulConnector, Ledger
from tests.crash.schedules import URL
from tests.engine import world

#: The lab's tables, so that nothing is removed before what refers to it.
_TABLES = (
    "disks", "snapshots", "vms", "images", "templates", "tenants", "tasks", "late",
    "requests", "effects", "faults", "sqlite_sequence",
)  # fmt: skip
#: The token of the planted orphan, older than any that is kept.
LOST = "01900000-0000-7000-8000-000000000000"
LOST_IMAGE = "lost-1"


class Faithful(Outside):
    """`tests.crash.provider`, with a new ledger for each schedule."""

    ids = (cases.SCRIPTED_ID,)

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.ledger = Ledger()
        self._connector = FaithfulConnector(self.ledger)
        engine.connectors = {**engine.connectors, "scripted": self._connector}
        for command in (*world.ALL, *ALL):
            engine.commands.register(command)
        row = ProviderRow(cases.SCRIPTED_ID, "scripted", "scripted", "default", {})
        engine.write(lambda tx: inventory.add_provider(tx, row))

    def fresh(self) -> None:
        self._connector.world = self.ledger = Ledger()

    def lost(self, token: str, task: Task) -> bool:
        effect = self._engine.read(lambda tx: effects.get(tx, token))
        made = {one for one, _ in self.ledger.made.values()}
        what = str(task.params["what"])
        if token in made or what.startswith("refused"):
            return False
        self.ledger.late[token] = (what, EffectClass(effect.effect))
        return True

    def arrive(self) -> None:
        self.ledger.land_late()

    def broken(self, engine: Engine) -> list[str]:
        there = self.ledger.counted()
        asked, taken = self.ledger.journal, self.ledger.taken
        return [
            *self.ledger.violations,
            *invariants.broken_at_provider(engine, there, asked, taken=taken),
        ]


class LabSite:
    """The lab's own rules and tables; its tasks end at the next request. `exchange`
    stands in place of `transport.exchange`."""

    def __init__(self, folder: Path) -> None:
        self._config = LabConfig(
            state=folder, copy_seconds=0, power_seconds=0, short_seconds=0
        )
        self._site: Site | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._site is not None:
            self._site.__exit__(None, None, None)

    @property
    def site(self) -> Site:
        assert self._site is not None
        return self._site

    def renew(self) -> None:
        """A new site, as the demo has it."""
        if self._site is None:
            self._site = Site(self._config).__enter__()
            # Whoever is killed here is a thread: nothing is lost that was not flushed.
            self._site.execute("PRAGMA synchronous = OFF")
            self._door = Starlette(routes=api.routes(self._site))
        # The same site without all that it has: to make one takes longer.
        with self.site.transaction():
            for table in _TABLES:
                self.site.execute(f"DELETE FROM {table}")
        for disk in self.site.disks.iterdir():
            disk.unlink()
        seed(self.site)

    def advance(self) -> None:
        """What was accepted is done."""
        tasks.advance(self.site)

    def exchange(self, request: Request, deadline: Deadline, trusted: object) -> Answer:
        """In place of `transport.exchange`."""
        deadline.check_before_sending()
        self.advance()
        url = urlsplit(request.url)
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": request.method,
            "scheme": url.scheme,
            "server": (url.hostname, url.port),
            "path": unquote(url.path),
            "query_string": url.query.encode(),
            "headers": [
                (name.lower().encode(), value.encode())
                for name, value in request.headers.items()
            ],
        }
        told: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": request.body or b""}

        async def send(message: Message) -> None:
            told.append(message)

        # Nothing in there waits for anything, so it needs no loop.
        with suppress(StopIteration):
            self._door(scope, receive, send).__await__().send(None)
        start, *parts = told
        headers = {k.decode(): v.decode() for k, v in start["headers"]}
        body = b"".join(part.get("body", b"") for part in parts)
        return Answer(start["status"], headers, body)


class InsideLab(LabSite, Outside):
    """The lab as the one provider of an engine."""

    ids = (cases.LAB_ID,)

    def __init__(self, engine: Engine, folder: Path, *, plant: bool = True) -> None:
        super().__init__(folder)
        self._engine = engine
        #: Whether a new site has an orphan.
        self.plant = plant

        def add(tx: EngineTx) -> None:
            row = ProviderRow(
                cases.LAB_ID,
                "lab",
                "lab",
                "default",
                {"url": URL},
                seal_all(tx, {"password": cases.PASSWORD}),
            )
            inventory.add_provider(tx.store, row)

        transact(engine, add)

    def fresh(self) -> None:
        self.renew()
        if self.plant:
            plant(self.site, self._engine.installation)
        session = self._engine.session(cases.LAB_ID)
        listing = session.capability(InventorySource, Deadline(10)).list_all()

        def take_over(tx: HouseTx) -> None:
            for table in (disks, snapshots, templates, tenants, vms, consoles):
                tx.store.execute(sa.delete(table))
            tx.apply_listing(cases.LAB_ID, listing, tx.now)
            ask_for_console(tx, cases.LAB_ID)
            if self.plant:
                plant_orphan(tx, cases.LAB_ID)

        transact(self._engine, take_over)
        self.site.execute(
            "INSERT INTO templates VALUES ('t-1', ?, 'vm', '[]', NULL, 0, NULL)",
            cases.TAKEN,
        )
        ledger.clear(self.site)

    def broken(self, engine: Engine) -> list[str]:
        written = ledger.read(self.site)
        done = Counter(effect["token"] for effect in written["effects"])
        asked = _journal(written["requests"])
        made = any(it["verb"] in MADE for it in written["effects"])
        return [
            *(f"nothing is left unnamed: {it}" for it in self._unnamed(engine)),
            *invariants.broken_at_provider(engine, done, asked),
            *(self._unexplained() if made else ()),
        ]

    def _unexplained(self) -> list[str]:
        """Invariant 5: past the horizon, the sweep finds nothing but what was planted
        before."""
        client = self._engine.session(cases.LAB_ID).capability(Marked, Deadline(10))
        began = self._engine.read(lambda tx: tx.now) + timedelta(hours=2)
        things = client.list_all()

        def sweep(tx: HouseTx) -> list[str]:
            tx.apply_sweep(cases.LAB_ID, things, client.makes, began)
            swept = orphans.sweep_of(tx.store, cases.LAB_ID)
            found = orphans.listed(tx.store, cases.LAB_ID)
            return [
                *(f"{it.external_id}: {it.story}" for it in found if it.token != LOST),
                *(f"{it.external_id} is missing" for it in swept.missing),
                *(["something is still too young"] if swept.young else []),
            ]

        told = transact(self._engine, sweep)
        return [f"the sweep finds nothing unexplained: {what}" for what in told]

    def _unnamed(self, engine: Engine) -> set[str]:
        """Copies that nothing is made of, after roots that ended badly without naming
        them as left behind."""
        loose = self.site.rows(
            """SELECT id, token FROM images WHERE token IS NOT NULL
            AND id NOT IN (SELECT image FROM disks) AND id NOT IN
            (SELECT each.value FROM templates, json_each(templates.images) AS each)"""
        )
        roots = {
            task.id: task
            for row in engine.read(lambda tx: tx.execute(rows.select_tasks()).all())
            if (task := rows.from_row(row)).is_root
        }
        unnamed = set()
        for image in loose:
            token = image["token"]
            if token == LOST:
                continue
            effect = engine.read(lambda tx, token=token: effects.get(tx, token))  # type: ignore[misc]
            root = roots[effect.root_id]
            named = " ".join((root.error or {}).get("left_behind", ()))
            if root.done and not root.went_well and image["id"] not in named:
                unnamed.add(str(image["id"]))
        return unnamed


def plant(site: Site, installation: str) -> None:
    """Put an image there with our mark, of a request that nothing knows."""
    mark = f"{installation}.{LOST}"
    values = (LOST_IMAGE, "lost", "fast", 1, LOST, site.now(), mark, "legal")
    site.execute("INSERT INTO images VALUES (?, ?, ?, ?, ?, ?, ?, ?)", *values)


def plant_orphan(tx: EngineTx, provider_id: str) -> None:
    """As if a sweep had found it."""
    orphans.insert(
        tx.store,
        {
            "id": cases.ORPHAN,
            "provider_id": provider_id,
            "kind": "image",
            "external_id": LOST_IMAGE,
            "name": "lost",
            "token": LOST,
            "story": "It is planted.",
            "task_id": None,
            "created_at": tx.now,
            "first_seen_at": tx.now,
            "last_seen_at": tx.now,
        },
    )


def ask_for_console(tx: EngineTx, provider_id: str) -> None:
    """As if a browser had asked for one and used its ticket."""
    its = {"vm_id": tx.vm(DEMO[0].name).id, "session": "browser", "ticket": "ticket"}
    console_rows.issue(tx.store, cases.CONSOLE, provider_id=provider_id, **its)
    address = "http://127.0.0.1:9"
    assert console_rows.claim(tx.store, cases.CONSOLE, address=address, **its)


def _journal(requests: list[dict[str, object]]) -> Iterator[tuple[str, str]]:
    """Any question to the lab counts as a look for all that was ever sent; what has no
    token asks for no effect: it stops one."""
    tokens = {str(entry["token"]) for entry in requests if entry["token"] is not None}
    for entry in requests:
        if entry["method"] != "POST":
            yield from (("look", token) for token in tokens)
        elif entry["token"] is not None:
            yield "send", str(entry["token"])
