"""What the site shows to those who read it.

Lists take ``lag``, in seconds: what was created more recently is not listed yet.
"""

import json
import sqlite3

from earmark.lab.jobs.power import power_state
from earmark.lab.model import Json, Refused, iso
from earmark.lab.site import Site
from earmark.lab.tasks import displayed_state, progress


def vms(site: Site, lag: float = 0.0) -> list[Json]:
    """Return all virtual machines by name; the lag is that of their snapshots."""
    rows = site.rows("SELECT * FROM vms ORDER BY name")
    return [_vm(site, row, lag) for row in rows]


def vm(site: Site, vm_id: str) -> Json:
    """Return one virtual machine; raise Refused (404) when there is none."""
    return _vm(site, _found(site.row("SELECT * FROM vms WHERE id = ?", vm_id)))


def snapshots(site: Site, lag: float = 0.0) -> list[Json]:
    """Return all snapshots, oldest first."""
    rows = site.rows(
        "SELECT * FROM snapshots WHERE created_at <= ? ORDER BY created_at, name",
        site.now() - lag,
    )
    return [_dated(row) for row in rows]


def images(site: Site, lag: float = 0.0) -> list[Json]:
    """Return all images, oldest first."""
    rows = site.rows(
        "SELECT * FROM images WHERE created_at <= ? ORDER BY created_at, alias",
        site.now() - lag,
    )
    return [_dated(row) for row in rows]


def image(site: Site, image_id: str) -> Json:
    """Return one image; raise Refused (404) when there is none."""
    return _dated(_found(site.row("SELECT * FROM images WHERE id = ?", image_id)))


def templates(site: Site, lag: float = 0.0) -> list[Json]:
    """Return all templates, oldest first."""
    rows = site.rows(
        "SELECT * FROM templates WHERE created_at <= ? ORDER BY created_at, name",
        site.now() - lag,
    )
    return [_template(row) for row in rows]


def template(site: Site, template_id: str) -> Json:
    """Return one template; raise Refused (404) when there is none."""
    return _template(
        _found(site.row("SELECT * FROM templates WHERE id = ?", template_id))
    )


def tenants(site: Site, lag: float = 0.0) -> list[Json]:
    """Return all tenants, oldest first."""
    rows = site.rows(
        "SELECT * FROM tenants WHERE created_at <= ? ORDER BY created_at, name",
        site.now() - lag,
    )
    return [_dated(row) for row in rows]


def tenant(site: Site, tenant_id: str) -> Json:
    """Return one tenant; raise Refused (404) when there is none."""
    return _dated(_found(site.row("SELECT * FROM tenants WHERE id = ?", tenant_id)))


def snapshot(site: Site, snapshot_id: str) -> Json:
    """Return one snapshot; raise Refused (404) when there is none."""
    row = site.row("SELECT * FROM snapshots WHERE id = ?", snapshot_id)
    return _dated(_found(row))


def tasks(
    site: Site,
    lag: float = 0.0,
    token: str | None = None,
    ids: list[str] | None = None,
) -> list[Json]:
    """Return the tasks that are not cleared, oldest first.

    ``token`` and ``ids`` narrow the list; an id that is unknown is left out.
    """
    rows = site.rows(
        """SELECT * FROM tasks WHERE NOT hidden AND created_at <= ?1
        AND (?2 IS NULL OR token = ?2)
        AND (?3 IS NULL OR id IN (SELECT value FROM json_each(?3)))
        ORDER BY seq""",
        site.now() - lag,
        token,
        None if ids is None else json.dumps(ids),
    )
    return [_task(site, row) for row in rows]


def task(site: Site, task_id: str) -> Json:
    """Return one task; raise Refused (404) when there is none or it is cleared."""
    row = site.row("SELECT * FROM tasks WHERE id = ? AND NOT hidden", task_id)
    return _task(site, _found(row))


def _found(row: sqlite3.Row | None) -> sqlite3.Row:
    if row is None:
        raise Refused(404, "not-found", "there is no such thing")
    return row


def _dated(row: sqlite3.Row) -> Json:
    return {**dict(row), "created_at": iso(row["created_at"])}


def _vm(site: Site, row: sqlite3.Row, lag: float = 0.0) -> Json:
    disks = site.rows(
        """SELECT disks.id, disks.alias, image, size_bytes, domain
        FROM disks JOIN images ON images.id = image WHERE vm = ?
        ORDER BY disks.alias""",
        row["id"],
    )
    return {
        "id": row["id"],
        "name": row["name"],
        "power_state": power_state(site, row),
        "disks": [dict(disk) for disk in disks],
        "snapshots": [s for s in snapshots(site, lag) if s["vm"] == row["id"]],
    }


def _template(row: sqlite3.Row) -> Json:
    return {**_dated(row), "images": json.loads(row["images"])}


def _task(site: Site, row: sqlite3.Row) -> Json:
    data = row["result_data"]
    return {
        "id": row["id"],
        "verb": row["verb"],
        "state": displayed_state(site, row),
        "result": row["result"],
        "progress": progress(site, row),
        "message": row["message"],
        "token": row["token"],
        "mark": row["mark"],
        "object": row["object"],
        "created_at": iso(row["created_at"]),
        "finished_at": iso(row["finished_at"]),
        "result_data": None if data is None else json.loads(data),
    }
