"""A real boto3 against moto's EC2 in a process of its own, through queue and worker.

What `tests/peers/faithful_ec2.py` lists (transitions that take time) is our behaviour,
not moto's and not Amazon's.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from earmark.domain.settings import Settings
from earmark.engine.runtime import Engine
from earmark.store.schema import providers, secrets
from tests.peers.lab import eventually
from tests.peers.moto_server import REGION, Key, MotoProcess
from tests.peers.worker import WorkerProcess

pytestmark = pytest.mark.slow


@pytest.fixture
def ec2(tmp_path: Path) -> Iterator[MotoProcess]:
    with MotoProcess(tmp_path) as process:
        yield process


@pytest.fixture
def worker(
    engine: Engine, settings: Settings, tmp_path: Path
) -> Iterator[WorkerProcess]:
    with WorkerProcess(settings, tmp_path / "worker.log") as process:
        process.ready()
        yield process


def earmark(
    settings: Settings, *words: str, stdin: str = ""
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "earmark", *words],
        env={
            **os.environ,
            "EARMARK_DATABASE_URL": settings.database_url,
            "EARMARK_SECRET_KEY_FILE": str(settings.key_file),
        },
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
    )


def add(
    settings: Settings, ec2: MotoProcess, key: Key
) -> "subprocess.CompletedProcess[str]":
    return earmark(
        settings,
        *("providers", "add", "ec2", "--name", "aws", "--zone", "default"),
        *("--set", f"region={REGION}", "--set", f"access_key_id={key.access_key_id}"),
        *("--set", f"endpoint_url={ec2.url}", "--secret", "secret_access_key"),
        stdin=f"{key.secret}\n",
    )


def rows(engine: Engine) -> tuple[int, int]:
    """How many providers there are, and how many secrets."""

    def count(tx: object) -> tuple[int, int]:
        counts = [
            tx.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()  # type: ignore[attr-defined]
            for table in (providers, secrets)
        ]
        return counts[0], counts[1]

    return engine.read(count)


@pytest.mark.usefixtures("worker")
def test_an_instance_really_stops_and_starts(
    ec2: MotoProcess, engine: Engine, settings: Settings
) -> None:
    instance = ec2.run_instance("web")
    added = add(settings, ec2, ec2.good_key)
    assert added.returncode == 0, added.stderr
    refreshed = earmark(settings, "providers", "refresh", "aws")
    assert refreshed.returncode == 0, refreshed.stderr

    stopped = earmark(settings, "vms", "stop", "web", "--json")
    assert stopped.returncode == 0, stopped.stderr
    assert json.loads(stopped.stdout)["result"] == {"power_state": "off"}
    assert ec2.instances()[instance] == "stopped"
    again = earmark(settings, "vms", "stop", "web", "--json")
    assert json.loads(again.stdout)["message"] == "already off"
    assert ec2.received("StopInstances") == 1

    started = earmark(settings, "vms", "start", "web")
    assert started.returncode == 0, started.stderr
    assert ec2.instances()[instance] == "running"
    (vm,) = json.loads(earmark(settings, "vms", "ls", "--json").stdout)
    assert (vm["name"], vm["power_state"]) == ("web", "on")


@pytest.mark.usefixtures("worker")
def test_a_wrong_key_says_auth_and_saves_nothing(
    ec2: MotoProcess, engine: Engine, settings: Settings
) -> None:
    wrong = Key(ec2.good_key.access_key_id, "not-the-secret-of-this-key")
    refused = add(settings, ec2, wrong)
    assert refused.returncode == 1
    assert refused.stderr.strip().startswith("auth: ") or "auth" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert rows(engine) == (0, 0)
    database = engine.database.file
    if database is not None:
        assert wrong.secret.encode() not in database.read_bytes()


def test_killed_with_the_answer_in_hand_it_is_asked_not_sent_again(
    ec2: MotoProcess, engine: Engine, settings: Settings, tmp_path: Path
) -> None:
    instance = ec2.run_instance("web")
    log = tmp_path / "worker.log"
    with WorkerProcess(settings, log) as first:
        first.ready()
        assert add(settings, ec2, ec2.good_key).returncode == 0
        assert earmark(settings, "providers", "refresh", "aws").returncode == 0
        first.signal(signal.SIGTERM)
        assert first.wait() == 0
    queued = earmark(settings, "vms", "stop", "web", "--detach").stdout.strip()
    with WorkerProcess(settings, log, crash_at="send.answered") as second:
        second.ready()
        assert second.wait() == -9
    with WorkerProcess(settings, log) as third:
        third.ready()

        def reached() -> bool:
            task = json.loads(
                earmark(settings, "tasks", "show", queued, "--json").stdout
            )
            return "may still arrive, so it waits" in task["message"]

        # Its request was never answered to anybody alive: EC2 takes a signed request
        # for five minutes, and so long the VM stays locked (rule 12). What it shows
        # by then is true already.
        eventually(reached, "the state is reached, and the lock stays", seconds=60)
        (vm,) = json.loads(earmark(settings, "vms", "ls", "--json").stdout)
        assert vm["power_state"] == "off"
        refused = earmark(settings, "vms", "start", "web")
        assert (refused.returncode, "is locked by" in refused.stderr) == (1, True)
    assert ec2.instances()[instance] == "stopped"
    assert ec2.received("StopInstances") == 1
