"""A yard: an engine, the lab's own code inside the process, and a worker that the test
drives step by step. Time passes when the test says so: its rows are put back."""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from earmark.commands import CreateImageTemplate, CreateTenant, SweepProvider
from earmark.domain.command import Command
from earmark.domain.deadline import Deadline
from earmark.domain.mark import Mark
from earmark.domain.orphan import Orphan, Sweep
from earmark.domain.task import Placeholder, Task
from earmark.engine.enqueue import transact
from earmark.engine.poll import check_provider
from earmark.engine.resolve import Decision, resolve
from earmark.engine.runtime import Engine
from earmark.lab import rules
from earmark.lab.faults import FAULTS
from earmark.lab.site import Site
from earmark.providers.transport import Request
from earmark.store import orphans, placeholders, tasks
from earmark.store import schema as tables
from earmark.store.database import Transaction
from earmark.testing.rounds import hurry, perform_queued
from tests.crash.cases import LAB_ID
from tests.crash.inside import InsideLab
from tests.crash.schedules import URL

Json = dict[str, Any]
_MOVED = (
    (tables.sends, ("sent_at", "over_at")),
    (tables.placeholders, ("updated_at", "doubt_since", "first_sent_at")),
    (tables.tasks, ("finished_at",)),
    (tables.orphans, ("decided_at",)),
    (tables.sweeps, ("began_at",)),
)


class Yard:
    """What the tests of orphans work with."""

    def __init__(self, engine: Engine, lab: InsideLab) -> None:
        self.engine = engine
        self.lab = lab
        lab.fresh()

    @property
    def site(self) -> Site:
        site = self.lab._site
        assert site is not None
        return site

    def fault(self, fault: str, verb: str, **order: Any) -> None:
        rules.add(self.site, {"fault": fault, "verb": verb, **order}, frozenset(FAULTS))

    def calm(self) -> None:
        """The lab misbehaves no more."""
        rules.remove(self.site)

    def ask(self, command: Command[Any]) -> Task:
        return transact(self.engine, lambda tx: command.enqueue(tx))

    def run(self, command: Command[Any]) -> Task:
        """Ask, work, and return how it is then."""
        asked = self.ask(command)
        self.work()
        return self.task(asked)

    def task(self, task: Task) -> Task:
        return self.engine.read(lambda tx: tasks.get(tx, task.id))

    def effect(self, task: Task) -> Placeholder:
        found = self.engine.read(lambda tx: placeholders.of_task(tx, task.id))
        assert found is not None
        return found

    def work(self, rounds: int = 12) -> None:
        """Claim, run and check, due or not, until nothing moves any more."""
        for _ in range(rounds):
            claimed = self.begin()
            if not check_provider(self.engine, LAB_ID) and not claimed:
                return

    def begin(self) -> int:
        """Claim and send, and look at nothing."""
        hurry(self.engine)
        return len(perform_queued(self.engine))

    def pass_time(self, hours: float = 2) -> None:
        """Hours go by: every horizon passes."""
        by = timedelta(hours=hours)

        def work(tx: Transaction) -> None:
            for table, columns in _MOVED:
                keys = list(table.primary_key)
                for row in tx.execute(sa.select(table)).all():
                    this = [key == getattr(row, key.name) for key in keys]
                    back = {
                        name: getattr(row, name) - by
                        for name in columns
                        if getattr(row, name) is not None
                    }
                    if back:
                        tx.execute(sa.update(table).where(*this).values(**back))

        self.engine.write(work)

    def sweep(self) -> Task:
        """Sweep the lab, and see that this ended well."""
        task = self.run(SweepProvider(provider="lab"))
        assert task.outcome == "ok", task.message
        return task

    def swept(self) -> Sweep:
        return self.engine.read(lambda tx: orphans.sweep_of(tx, LAB_ID))

    def orphans(self, *, every: bool = False) -> list[Orphan]:
        return self.engine.read(lambda tx: orphans.listed(tx, every=every))

    def call(self, method: str, path: str, body: Json | None = None) -> Json:
        """Ask the lab as somebody else would."""
        session: Any = self.engine.session(LAB_ID)
        headers = {
            "Authorization": f"Basic {session._login}",
            "Content-Type": "application/json",
        }
        sent = json.dumps(body).encode() if body is not None else b""
        request = Request(method, f"{URL}/api{path}", headers, sent)
        answer = self.lab.exchange(request, Deadline(10), None)
        assert answer.status < 300, answer.body
        found: Json = json.loads(answer.body)
        return found

    def tenant(self, name: str, token: str, installation: str = "") -> str:
        """A tenant that is there with a mark, whoever made it; returns its id."""
        mark = str(Mark(installation or self.engine.installation, token))
        self.call("POST", "/tenants", {"name": name, "token": token, "mark": mark})
        there = self.call("GET", "/tenants")["tenants"]
        return str(next(it["id"] for it in there if it["name"] == name))

    def things(self, kind: str) -> list[Json]:
        """What the lab shows of a kind that carries a mark."""
        rows: Sequence[Json] = self.call("GET", f"/{kind}s")[f"{kind}s"]
        return [row for row in rows if row["mark"]]

    def copy(self, alias: str = "one") -> CreateImageTemplate:
        """A copy of some image."""
        image = self.call("GET", "/images")["images"][0]["id"]
        return CreateImageTemplate(
            provider="lab", image=image, alias=alias, domain="bulk"
        )

    def double(self) -> Task:
        """A copy that the provider made twice for one token; the task ended well."""
        command = self.copy()
        self.fault("ignore-tokens", "image.copy", times=None)
        self.fault("commit-then-500", "image.copy", times=1)
        self.fault("list-lag", "read", times=None, seconds=3600)
        # Step by step, and no look while the lists lag: how quick the test is must not
        # decide what the prober concludes.
        asked = self.ask(command)
        self.begin()
        self.pass_time()
        hurry(self.engine)
        check_provider(self.engine, LAB_ID)
        self.begin()
        self.calm()
        self.work()
        task = self.task(asked)
        assert task.outcome == "ok", task.message
        assert len(self.things("image")) == 2, "the provider doubled"
        return task

    def watched(self, *, late: bool) -> Task:
        """A request of which a person stopped waiting; `late`: it is on its way."""
        if late:
            self.fault("late-landing", "tenant.create", times=1, seconds=80_000)
        self.fault("error-500", "tenant.create", times=None)
        asked = self.ask(CreateTenant(provider="lab", name="blue"))
        for _ in range(9):
            self.work(3)
            self.pass_time()
            if self.task(asked).state == "held":
                break
        self.calm()
        assert self.task(asked).state == "held", self.task(asked).message
        resolve(self.engine, asked.id, Decision.WATCH, "ada")
        return self.task(asked)

    def land_late(self) -> None:
        """All that is on its way to the lab arrives."""
        self.site.execute("UPDATE late SET due_at = 0")
        self.call("GET", "/about")
