"""Templates: made of images, and deleted."""

import json
import sqlite3
from uuid import uuid4

from earmark.lab.jobs.names import refuse_taken
from earmark.lab.jobs.plan import Job, Landing, LandingFailed, Plan
from earmark.lab.model import Command, Refused
from earmark.lab.site import Site


def _check_create(site: Site, command: Command) -> Plan:
    params = command.params
    if site.row("SELECT 1 FROM vms WHERE id = ?", params["vm"]) is None:
        raise Refused(409, "no-such-vm", "there is no such virtual machine")
    for image in params["images"]:
        if site.row("SELECT 1 FROM images WHERE id = ?", image) is None:
            raise Refused(409, "no-such-image", f"there is no image {image}")
    refuse_taken(site, "template", params["name"])
    return Plan(str(uuid4()), site.config.short_seconds)


def _land_create(site: Site, task: sqlite3.Row) -> Landing:
    params = json.loads(task["params"])
    for image in params["images"]:
        if site.row("SELECT 1 FROM images WHERE id = ?", image) is None:
            raise LandingFailed(f"image {image} is gone")
    site.execute(
        "INSERT INTO templates VALUES (?, ?, ?, ?, ?, ?, ?)",
        task["object"],
        params["name"],
        params["vm"],
        json.dumps(params["images"]),
        task["token"],
        site.now(),
        task["mark"],
    )
    return Landing("the template was created", data={"template": task["object"]})


def _check_delete(site: Site, command: Command) -> Plan:
    template = command.params["template"]
    if site.row("SELECT 1 FROM templates WHERE id = ?", template) is None:
        raise Refused(404, "not-found", "there is no such template")
    return Plan(template, site.config.short_seconds)


def _land_delete(site: Site, task: sqlite3.Row) -> Landing:
    gone = site.execute("DELETE FROM templates WHERE id = ?", task["object"])
    if gone.rowcount == 0:
        return Landing("already gone", done=False)
    return Landing("the template was deleted")


CREATE = Job(_check_create, _land_create, deduplicated=True)
DELETE = Job(_check_delete, _land_delete)
