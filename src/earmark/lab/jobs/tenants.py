"""Tenants, who the site's resources are shared out to: made, and deleted."""

import json
import re
import sqlite3
from uuid import uuid4

from earmark.lab.jobs.names import refuse_taken
from earmark.lab.jobs.plan import Job, Landing, Plan
from earmark.lab.model import Command, Refused
from earmark.lab.site import Site

#: The site's own rule, stricter than what others may think of a name.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}")


def _check_create(site: Site, command: Command) -> Plan:
    name = command.params["name"]
    if _NAME.fullmatch(name) is None:
        raise Refused(
            409,
            "bad-name",
            "a tenant's name has at most 64 letters, digits, spaces, dots, dashes and "
            "underscores, and begins with a letter or a digit",
        )
    refuse_taken(site, "tenant", name)
    return Plan(str(uuid4()), site.config.short_seconds)


def _land_create(site: Site, task: sqlite3.Row) -> Landing:
    params = json.loads(task["params"])
    site.execute(
        "INSERT INTO tenants VALUES (?, ?, ?, ?, ?, ?)",
        task["object"],
        params["name"],
        params["description"],
        task["token"],
        site.now(),
        task["mark"],
    )
    return Landing("the tenant was created", data={"tenant": task["object"]})


def _check_delete(site: Site, command: Command) -> Plan:
    tenant = command.params["tenant"]
    if site.row("SELECT 1 FROM tenants WHERE id = ?", tenant) is None:
        raise Refused(404, "not-found", "there is no such tenant")
    return Plan(tenant, site.config.short_seconds)


def _land_delete(site: Site, task: sqlite3.Row) -> Landing:
    gone = site.execute("DELETE FROM tenants WHERE id = ?", task["object"])
    if gone.rowcount == 0:
        return Landing("already gone", done=False)
    return Landing("the tenant was deleted")


CREATE = Job(_check_create, _land_create, deduplicated=True)
DELETE = Job(_check_delete, _land_delete)
