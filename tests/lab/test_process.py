"""The lab as a process: it starts, dies, comes back, and goes when told."""

import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from earmark.lab import LabConfig
from tests.lab.copies import copy, image_ids
from tests.peers.lab import LabProcess, eventually

PROMPT = 5.0
"""Seconds within which a lab must go. It takes less than one, but a machine that is
busy with other tests may not; a lab that waits for its clients takes far longer."""


def test_health_names_the_process(lab: LabProcess) -> None:
    health = httpx.get(f"{lab.url}/lab", trust_env=False).json()
    assert health == {"ok": True, "pid": lab.pid}


def test_copy_survives_the_death_of_the_lab(tmp_path: Path) -> None:
    with LabProcess(tmp_path / "lab", copy_seconds=2) as lab:
        before = image_ids(lab)
        url = lab.url
        task = copy(lab, "t").json()["task"]
        eventually(lambda: lab.task(task)["progress"] > 5, "some progress")
        lab.kill()
        assert lab.state.joinpath("disks").exists()
        lab.restart()
        assert lab.url == url
        ended = lab.finished(task)
        assert ended["result"] == "ok"
        assert image_ids(lab) - before == {ended["result_data"]["image"]}
        assert len(lab.effects("image.copy", "t")) == 1
        assert copy(lab, "t").status_code == 200


def test_time_passes_while_the_lab_is_dead(tmp_path: Path) -> None:
    with LabProcess(tmp_path / "lab", copy_seconds=3) as lab:
        task = copy(lab, "t").json()["task"]
        lab.kill()
        time.sleep(3)  # as long as the copy lasts
        lab.start()
        eventually(lambda: lab.effects("image.copy", "t"), "the landing", 2.0)
        assert lab.task(task)["state"] == "finished"


def test_killed_again_and_again_a_copy_has_one_effect(lab: LabProcess) -> None:
    lab.fault("late-landing", "image.copy", seconds=0.6)
    copy(lab, "late")
    copy(lab, "t")
    for _ in range(4):
        lab.restart()
        time.sleep(0.1)
    for token in ("t", "late"):
        eventually(lambda token=token: lab.effects(token=token), "the effect")  # type: ignore[misc]
    assert len(lab.effects("image.copy")) == 2


def test_faults_late_requests_and_the_ledger_are_durable(lab: LabProcess) -> None:
    lab.fault("late-landing", "image.copy", seconds=0.5)
    lab.fault("refuse", "vm.stop", times=3)
    copy(lab, "t")
    lab.restart()
    assert lab.requests("image.copy")[0]["outcome"] == "late"
    assert [fault["used"] for fault in lab.faults()] == [1, 0]
    eventually(lambda: lab.effects("image.copy", "t"), "the late landing")
    vm = lab.vm("web01")["id"]
    assert lab.call("POST", f"/vms/{vm}/stop").status_code == 409


def test_an_existing_site_is_not_seeded_again(lab: LabProcess) -> None:
    vms = lab.call("GET", "/vms").json()
    lab.stop()
    lab.start()
    assert lab.call("GET", "/vms").json() == vms


def test_an_empty_seed(tmp_path: Path) -> None:
    with LabProcess(tmp_path / "lab", seed="empty") as lab:
        assert lab.call("GET", "/vms").json() == {"vms": []}


def test_sigterm_ends_it_though_clients_hang(lab: LabProcess) -> None:
    lab.fault("hang", "vm.stop")
    lab.fault("slow", "vm.start", seconds=60)
    vm = lab.vm("web01")["id"]

    def post(verb: str) -> httpx.Response:
        return httpx.post(
            f"{lab.url}/api/vms/{vm}/{verb}",
            auth=lab.auth,
            timeout=30,
            trust_env=False,
        )

    with ThreadPoolExecutor(2) as pool:
        hung = [pool.submit(post, verb) for verb in ("stop", "start")]
        for verb in ("vm.stop", "vm.start"):
            eventually(lambda verb=verb: lab.requests(verb), "the request")  # type: ignore[misc]
        assert lab.stop() < PROMPT
        for future in hung:
            assert isinstance(future.exception(), httpx.RemoteProtocolError)
    assert "Traceback" not in lab.log.read_text()


@pytest.mark.parametrize("leave", [True, False], ids=["client leaves", "lab goes"])
def test_a_half_sent_request_harms_nobody(lab: LabProcess, leave: bool) -> None:
    with socket.create_connection(("127.0.0.1", lab.port)) as client:
        client.sendall(
            b"POST /api/images/copy HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            b"Content-Length: 100\r\n\r\n{"
        )
        # An answered request later means that the server has seen this one.
        assert lab.call("GET", "/about").status_code == 200
        if leave:
            client.close()
            assert lab.call("GET", "/about").status_code == 200
        assert lab.requests("image.copy") == []
        assert lab.stop() < PROMPT
    assert "Traceback" not in lab.log.read_text()


def test_a_second_lab_keeps_off(lab: LabProcess) -> None:
    words = [sys.executable, "-m", "earmark.lab", "--state", str(lab.state)]
    second = subprocess.run(words, capture_output=True, text=True, timeout=20)
    assert second.returncode == 1
    assert "another lab uses" in second.stderr
    assert lab.call("GET", "/about").status_code == 200


def test_it_knows_nothing_of_earmark() -> None:
    """The lab is an independent witness only while it shares no code."""
    program = (
        "import sys, earmark\n"
        "before = set(sys.modules)  # what the package's own face brings along\n"
        "import earmark.lab\n"
        "print([m for m in sys.modules if m.startswith('earmark.')"
        " and m not in before and not m.startswith('earmark.lab')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"host": "0.0.0.0"}, "serves 127"),
        ({"seed": "nope"}, "unknown seed"),
        ({"copy_seconds": -1}, "negative"),
        ({"keyfile": Path("key.pem")}, "needs its certificate"),
    ],
)
def test_wrong_settings_are_refused(
    wrong: dict[str, object], reason: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=reason):
        LabConfig(state=tmp_path, **wrong)  # type: ignore[arg-type]
