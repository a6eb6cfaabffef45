"""How these tests ask for copies of disks, and look at what came of it."""

from datetime import datetime
from typing import Any

import httpx

from tests.peers.lab import LabProcess


def image_of(lab: LabProcess, vm: str = "web01") -> str:
    return str(lab.vm(vm)["disks"][0]["image"])


def copy(
    lab: LabProcess, token: str | None, alias: str = "copy", domain: str = "bulk"
) -> httpx.Response:
    body = {"image": image_of(lab), "domain": domain, "alias": alias, "token": token}
    return lab.call("POST", "/images/copy", json=body)


def copied(lab: LabProcess, token: str, alias: str = "copy") -> str:
    """Make a copy, wait for it, and return the new image's id."""
    task = lab.finished(copy(lab, token, alias).json()["task"])
    assert task["result"] == "ok", task
    return str(task["result_data"]["image"])


def image_ids(lab: LabProcess) -> set[str]:
    return {image["id"] for image in lab.call("GET", "/images").json()["images"]}


def lasted(task: dict[str, Any]) -> float:
    """Return how many seconds a finished task took."""
    begun, ended = (
        datetime.fromisoformat(task[name]) for name in ("created_at", "finished_at")
    )
    return (ended - begun).total_seconds()
