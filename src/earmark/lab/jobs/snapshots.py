"""Snapshots of a VM; the token is kept inside, so that one can be found by it."""

import json
import sqlite3
from uuid import uuid4

from earmark.lab.jobs.plan import Job, Landing, LandingFailed, Plan
from earmark.lab.model import Command, Refused
from earmark.lab.site import Site


def _check_create(site: Site, command: Command) -> Plan:
    if site.row("SELECT 1 FROM vms WHERE id = ?", command.params["vm"]) is None:
        raise Refused(404, "not-found", "there is no such virtual machine")
    return Plan(str(uuid4()), site.config.short_seconds)


def _land_create(site: Site, task: sqlite3.Row) -> Landing:
    params = json.loads(task["params"])
    if site.row("SELECT 1 FROM vms WHERE id = ?", params["vm"]) is None:
        raise LandingFailed("the virtual machine is gone")
    site.execute(
        "INSERT INTO snapshots VALUES (?, ?, ?, ?, ?, ?)",
        task["object"],
        params["vm"],
        params["name"],
        task["token"],
        site.now(),
        task["mark"],
    )
    return Landing("the snapshot was created", data={"snapshot": task["object"]})


def _check_delete(site: Site, command: Command) -> Plan:
    snapshot = command.params["snapshot"]
    if site.row("SELECT 1 FROM snapshots WHERE id = ?", snapshot) is None:
        raise Refused(404, "not-found", "there is no such snapshot")
    return Plan(snapshot, site.config.short_seconds)


def _land_delete(site: Site, task: sqlite3.Row) -> Landing:
    gone = site.execute("DELETE FROM snapshots WHERE id = ?", task["object"])
    if gone.rowcount == 0:
        return Landing("already gone", done=False)
    return Landing("the snapshot was deleted")


CREATE = Job(_check_create, _land_create, deduplicated=True)
DELETE = Job(_check_delete, _land_delete)
