"""What the pages for authors show keeps its promise, and hides what it says."""

import importlib
import re
import runpy
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar, cast

import pytest
from pydantic import BaseModel

import earmark
import earmark.testing
from earmark import EffectClass, Operation, Secret
from earmark.engine.enqueue import transact
from earmark.store import schema
from earmark.testing import Bench, Effect, verify
from earmark.testing.bench import open_bench
from tests.crash.drawn import SOAK

from .pages import DOCS, ROOT, blocks

C = TypeVar("C")
#: Modules that the pages show are known by these names only while a test runs.
THEIRS = (
    "boxes",
    "copies",
    "fake_acme",
    "fake_site",
    "golden",
    "http_acme",
    "logins",
    "parcels",
    "test_copies",
    "test_undoing",
    "undoing",
)


@pytest.fixture
def shown(modules: Path) -> Iterator[Path]:
    """The modules of the pages, loaded by whoever asks for them."""
    yield modules
    for name in THEIRS:
        sys.modules.pop(name, None)


@pytest.fixture
def bench() -> Iterator[Bench]:
    with open_bench() as made:
        yield made


def load(name: str) -> Any:
    module: ModuleType = importlib.import_module(name)
    return module


def template(replay: str | None) -> Any:
    command = load("golden").AddVmTemplate(vm="db01", name="proof")
    site = load("fake_site").FakeSite()
    return verify(
        command, world=site, schedules=10, share=SHARE, replay=replay, check=False
    )


#: The copies of a template meet the same boundaries and commits: a few of each will do.
SHARE = 1 if SOAK else 5
#: The seal is refused: what came before it is to be taken back.
REFUSED = "refuse=2"


@pytest.mark.parametrize("disturbance", ["undisturbed", "lose=1", REFUSED, "kill=30"])
def test_the_tutorials_commands_keep_their_promise(
    shown: Path, disturbance: str
) -> None:
    assert template(disturbance).ok


def test_the_tutorials_first_command_forgets_undo(shown: Path) -> None:
    page = DOCS / "tutorial" / "write-a-command.md"
    (first,) = (it.text for it in blocks(page) if it.info == "module=golden.py")
    (shown / "golden.py").write_text(first, encoding="utf-8")
    (finding,) = template(REFUSED).findings
    said = f"{finding.mistake}: {finding.text}"
    assert said in page.read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_tutorials_commands_keep_it_whatever_befalls_them(shown: Path) -> None:
    assert template(None).ok


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_readmes_proof_runs_as_it_is_shown(shown: Path) -> None:
    load("test_copies").test_it_keeps_its_promise()


def test_of_the_how_tos_plan_nothing_stays(shown: Path) -> None:
    plan = load("test_undoing").CopyTwice(provider="world")
    world = load("fake_site").FakeSite()
    assert verify(plan, world=world, replay=REFUSED).ok


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_of_the_how_tos_plan_nothing_stays_whatever_befalls_it(shown: Path) -> None:
    load("test_undoing").test_nothing_stays()


@pytest.mark.parametrize("disturbance", ["undisturbed", "lose=1", "kill=30"])
def test_the_fake_over_http_is_a_world(shown: Path, disturbance: str) -> None:
    command = load("boxes").MakeBox(provider="world", label="apples")
    acme = load("http_acme").SimulatedAcme()
    assert verify(command, world=acme, replay=disturbance).ok
    assert len(acme.effects()) == 1


def test_every_public_name_is_in_the_reference() -> None:
    groups = runpy.run_path(str(ROOT / "tools" / "public_names.py"))["GROUPS"]
    named = [name for some in groups.values() for name in some]
    assert sorted(named) == sorted([*earmark.__all__, *earmark.testing.__all__])


@pytest.mark.parametrize("boundary", ["", "send.answered", "poll.answered:2"])
def test_a_later_child_and_the_end_read_results(
    shown: Path, bench: Bench, boundary: str
) -> None:
    acme = load("fake_acme").FakeAcme()
    bench.add(acme.world, name="acme")
    fruit = load("parcels").SendFruit(provider="acme", fruit=("apples", "pears"))
    if boundary:
        with bench.crash_at(boundary):
            task = bench.run(fruit)
    else:
        task = bench.run(fruit)
    assert (task.outcome, task.result) == ("ok", "box-3")
    labels = [label for _, label, _ in acme.made]
    assert labels == ["apples", "pears", LABEL, f"copy of {LABEL}"]


LABEL = "with box-1 and box-2"


class NoSettings(BaseModel):
    pass


class Acme:
    """Logins, and the passwords that came with them; all in one."""

    kind = "acme"
    title = "Acme"
    settings: Any = NoSettings
    secrets: Mapping[str, str] = {}
    operations: Mapping[str, Operation] = {
        "login.create": Operation("login.create", EffectClass.TOKEN, source="guide 4")
    }

    def __init__(self) -> None:
        self.logins: dict[str, tuple[str, str, str]] = {}

    def create(self, name: str, password: str, invite: str, token: str) -> str:
        self.logins.setdefault(token, (name, password, invite))
        return name

    def with_token(self, token: str) -> Sequence[str]:
        return [name for its, (name, _, _) in self.logins.items() if its == token]

    def exists(self, login: str) -> bool:
        return any(login == name for name, _, _ in self.logins.values())

    def open(self, config: Any) -> "Acme":
        return self

    def capability(self, capability: type[C], deadline: Any) -> C:
        return cast(C, self)

    def close(self) -> None:
        """Nothing to close."""


class AcmeWorld:
    def __init__(self) -> None:
        self.connector = Acme()

    def reset(self) -> None:
        self.connector.logins.clear()

    def effects(self) -> Sequence[Effect]:
        made = self.connector.logins.items()
        return [Effect(token, name, True) for token, (name, _, _) in made]


def rows(bench: Bench) -> str:
    """Everything in every table, but the sealed values."""

    def read(tx: Any) -> str:
        tables = schema.tasks.metadata.sorted_tables
        kept = [one for one in tables if one.name != "earmark_secrets"]
        return repr([tuple(row) for one in kept for row in tx.execute(one.select())])

    return transact(bench.engine, lambda tx: read(tx.store))


def sealed(bench: Bench) -> int:
    def count(tx: Any) -> int:
        return len(tx.store.execute(schema.secrets.select()).all())

    return transact(bench.engine, count)


def test_a_secret_reaches_the_provider_and_nothing_else(
    shown: Path, bench: Bench
) -> None:
    world = AcmeWorld()
    bench.add(world, name="acme")
    given = Secret("an-invitation")
    welcome = load("logins").WelcomePerson(provider="acme", name="ada", invite=given)
    task = bench.ask(welcome)
    assert sealed(bench) == 1
    with bench.crash_at("send.answered"):
        bench.work()
    assert bench.task(task).outcome == "ok"
    ((name, password, invite),) = world.connector.logins.values()
    assert (name, invite) == ("ada", "an-invitation")
    written = rows(bench)
    assert "$secret" in written
    assert not re.search(f"an-invitation|{re.escape(password)}", written)
    assert sealed(bench) == 0, "they go with the task that brought them"
