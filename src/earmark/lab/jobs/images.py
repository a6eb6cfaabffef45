"""Images: copied, and deleted."""

import json
import sqlite3
from uuid import uuid4

from earmark.lab.jobs.plan import Job, Landing, LandingFailed, Plan
from earmark.lab.jobs.power import power_state
from earmark.lab.model import DOMAINS, Command, Refused
from earmark.lab.site import Site


def _check_copy(site: Site, command: Command) -> Plan:
    source = site.row(
        "SELECT size_bytes FROM images WHERE id = ?", command.params["image"]
    )
    if source is None:
        raise Refused(404, "not-found", "there is no such image")
    if command.params["domain"] not in DOMAINS:
        raise Refused(409, "no-such-domain", "there is no such storage domain")
    # The copy's id is chosen now, so that landing can be repeated after a crash.
    return Plan(str(uuid4()), site.config.copy_seconds)


def _land_copy(site: Site, task: sqlite3.Row) -> Landing:
    params = json.loads(task["params"])
    source = site.row("SELECT size_bytes FROM images WHERE id = ?", params["image"])
    if source is None:
        raise LandingFailed("the source image is gone")
    _put_copy(site, task, source["size_bytes"], legality="legal")
    return Landing("the image was copied", data={"image": task["object"]})


def _half_copy(site: Site, task: sqlite3.Row) -> None:
    """Half an image: it takes its place, it is listed, and nothing can use it."""
    source_id = json.loads(task["params"])["image"]
    source = site.row("SELECT size_bytes FROM images WHERE id = ?", source_id)
    if source is not None:
        _put_copy(site, task, source["size_bytes"] // 2, legality="illegal")


def _put_copy(site: Site, task: sqlite3.Row, size: int, *, legality: str) -> None:
    params = json.loads(task["params"])
    site.create_disk(task["object"], size)
    site.execute(
        "INSERT INTO images VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        task["object"],
        params["alias"],
        params["domain"],
        size,
        task["token"],
        site.now(),
        task["mark"],
        legality,
    )


def refuse_if_used(site: Site, image: str) -> None:
    """Raise Refused when a VM or a template still has an image."""
    disk = site.row("SELECT 1 FROM disks WHERE image = ?", image)
    if disk is not None or _in_template(site, image):
        raise Refused(409, "in-use", "a virtual machine or a template uses the image")


def _refuse_if_needed(site: Site, image: str) -> None:
    """Raise Refused when a template, or a VM that is not off, works with an image.

    A VM that is off does not: whoever removes it begins with its images.
    """
    owners = site.rows(
        "SELECT vms.* FROM vms JOIN disks ON disks.vm = vms.id WHERE image = ?", image
    )
    running = any(power_state(site, vm) != "off" for vm in owners)
    if running or _in_template(site, image):
        raise Refused(
            409, "in-use", "a running virtual machine or a template uses the image"
        )


def _in_template(site: Site, image: str) -> bool:
    return (
        site.row(
            """SELECT 1 FROM templates, json_each(templates.images) AS each
            WHERE each.value = ?""",
            image,
        )
        is not None
    )


def _check_delete(site: Site, command: Command) -> Plan:
    image = command.params["image"]
    if site.row("SELECT 1 FROM images WHERE id = ?", image) is None:
        raise Refused(404, "not-found", "there is no such image")
    _refuse_if_needed(site, image)
    return Plan(image, site.config.short_seconds)


def _land_delete(site: Site, task: sqlite3.Row) -> Landing:
    image = task["object"]
    try:
        _refuse_if_needed(site, image)
    except Refused as refusal:
        raise LandingFailed(refusal.message) from None
    # A disk without its image is nothing: it goes from its VM as well.
    site.execute("DELETE FROM disks WHERE image = ?", image)
    if not remove_image(site, image):
        return Landing("already gone", done=False)
    return Landing("the image was deleted")


def remove_image(site: Site, image: str) -> bool:
    """Remove an image and its file; return whether it was still there."""
    site.remove_disk(image)
    return site.execute("DELETE FROM images WHERE id = ?", image).rowcount > 0


COPY = Job(_check_copy, _land_copy, deduplicated=True, half=_half_copy)
DELETE = Job(_check_delete, _land_delete)
