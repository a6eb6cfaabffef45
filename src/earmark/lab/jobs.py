"""What each verb of the site means: when it is refused, and what it does at its end.

A job is accepted first and lands later. ``check`` looks at the request and plans;
``land`` does the work, in the transaction that ends the task. One entry of ``JOBS``
is all that a verb is.
"""

import json
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from uuid import uuid4

from earmark.lab.model import DOMAINS, Command, Json, Refused
from earmark.lab.site import Site

OPEN_POWER_TASKS = """
    SELECT * FROM tasks WHERE object = ? AND state IN ('init', 'running')
    AND verb IN ('vm.start', 'vm.stop', 'vm.shutdown')
    AND json_extract(details, '$.target') IS NOT NULL
    ORDER BY seq DESC
"""


class LandingFailed(Exception):
    """A job that was accepted cannot be done any more; its task ends as failed."""


@dataclass(frozen=True)
class Plan:
    """What an accepted request is going to do.

    ``object`` is the id of what is changed or made. ``details`` are kept for the
    landing. With ``already`` set there is nothing to do: the task is finished on
    acceptance with that message, and no effect is counted.
    """

    object: str
    seconds: float = 0.0
    details: Json = field(default_factory=dict)
    already: str | None = None


@dataclass(frozen=True)
class Landing:
    """How a job ended well; ``done`` is False when nothing had to be changed."""

    message: str
    done: bool = True
    data: Json | None = None


@dataclass(frozen=True)
class Job:
    """One verb.

    ``check`` raises Refused; ``land`` raises LandingFailed. A ``deduplicated`` verb
    answers a token that it knows with the task of the first request.
    """

    check: Callable[[Site, Command], Plan]
    land: Callable[[Site, sqlite3.Row], Landing]
    deduplicated: bool = False


def power_state(site: Site, vm: sqlite3.Row) -> str:
    """Return a VM's state as an observer sees it, transitions included."""
    moving = site.row(OPEN_POWER_TASKS, vm["id"])
    if moving is None:
        return str(vm["power_state"])
    return "starting" if moving["verb"] == "vm.start" else "stopping"


def _check_power(site: Site, command: Command) -> Plan:
    vm = site.row("SELECT * FROM vms WHERE id = ?", command.params["vm"])
    if vm is None:
        raise Refused(404, "not-found", "there is no such virtual machine")
    target = "on" if command.verb == "vm.start" else "off"
    moving = site.row(OPEN_POWER_TASKS, vm["id"])
    if moving is None:
        if vm["power_state"] == target:
            return Plan(vm["id"], already=f"already {target}")
        if command.verb == "vm.shutdown" and vm["power_state"] == "suspended":
            raise Refused(409, "wrong-state", "a suspended guest cannot be asked")
    elif json.loads(moving["details"])["target"] == target:
        # It joins: it ends with the transition that is under way and finds then
        # that nothing is left to do.
        remaining = max(0.0, moving["due_at"] - site.now())
        return Plan(vm["id"], remaining, {"target": target})
    elif command.verb != "vm.stop":
        state = power_state(site, vm)
        raise Refused(409, "wrong-state", f"the virtual machine is {state}")
    if command.verb == "vm.shutdown" and vm["guest_ignores_shutdown"]:
        # Without a target the VM is not in transition, and landing changes nothing.
        return Plan(vm["id"], site.config.power_seconds, {"target": None})
    return Plan(vm["id"], site.config.power_seconds, {"target": target})


def _land_power(site: Site, task: sqlite3.Row) -> Landing:
    target = json.loads(task["details"])["target"]
    if target is None:
        return Landing("the guest was asked to shut down", done=False)
    changed = site.execute(
        "UPDATE vms SET power_state = ? WHERE id = ? AND power_state != ?",
        target,
        task["object"],
        target,
    )
    if changed.rowcount == 0:
        return Landing(f"already {target}", done=False)
    return Landing(f"the virtual machine is {target}")


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
    site.create_disk(task["object"], source["size_bytes"])
    site.execute(
        "INSERT INTO images VALUES (?, ?, ?, ?, ?, ?)",
        task["object"],
        params["alias"],
        params["domain"],
        source["size_bytes"],
        task["token"],
        site.now(),
    )
    return Landing("the image was copied", data={"image": task["object"]})


def refuse_if_used(site: Site, image: str) -> None:
    """Raise Refused when a VM or a template still needs an image."""
    used = site.row(
        """SELECT 1 FROM disks WHERE image = ?
        UNION ALL
        SELECT 1 FROM templates, json_each(templates.images) AS each
        WHERE each.value = ?""",
        image,
        image,
    )
    if used is not None:
        raise Refused(409, "in-use", "a virtual machine or a template uses the image")


def _check_image_delete(site: Site, command: Command) -> Plan:
    image = command.params["image"]
    if site.row("SELECT 1 FROM images WHERE id = ?", image) is None:
        raise Refused(404, "not-found", "there is no such image")
    refuse_if_used(site, image)
    return Plan(image, site.config.short_seconds)


def remove_image(site: Site, image: str) -> bool:
    """Remove an image and its file; return whether it was still there."""
    site.remove_disk(image)
    return site.execute("DELETE FROM images WHERE id = ?", image).rowcount > 0


def _land_image_delete(site: Site, task: sqlite3.Row) -> Landing:
    try:
        refuse_if_used(site, task["object"])
    except Refused as refusal:
        raise LandingFailed(refusal.message) from None
    if not remove_image(site, task["object"]):
        return Landing("already gone", done=False)
    return Landing("the image was deleted")


def _name_taken(site: Site, name: str) -> bool:
    # A template that is on its way has its name already.
    return (
        site.row(
            """SELECT 1 FROM templates WHERE name = ?
            UNION ALL
            SELECT 1 FROM tasks WHERE verb = 'template.create'
            AND state IN ('init', 'running') AND fate = 'ok'
            AND json_extract(params, '$.name') = ?""",
            name,
            name,
        )
        is not None
    )


def _check_template(site: Site, command: Command) -> Plan:
    params = command.params
    if site.row("SELECT 1 FROM vms WHERE id = ?", params["vm"]) is None:
        raise Refused(409, "no-such-vm", "there is no such virtual machine")
    for image in params["images"]:
        if site.row("SELECT 1 FROM images WHERE id = ?", image) is None:
            raise Refused(409, "no-such-image", f"there is no image {image}")
    if _name_taken(site, params["name"]):
        raise Refused(409, "name-taken", "a template of this name exists")
    return Plan(str(uuid4()), site.config.short_seconds)


def _land_template(site: Site, task: sqlite3.Row) -> Landing:
    params = json.loads(task["params"])
    for image in params["images"]:
        if site.row("SELECT 1 FROM images WHERE id = ?", image) is None:
            raise LandingFailed(f"image {image} is gone")
    site.execute(
        "INSERT INTO templates VALUES (?, ?, ?, ?, ?, ?)",
        task["object"],
        params["name"],
        params["vm"],
        json.dumps(params["images"]),
        task["token"],
        site.now(),
    )
    return Landing("the template was created", data={"template": task["object"]})


def _check_template_delete(site: Site, command: Command) -> Plan:
    template = command.params["template"]
    if site.row("SELECT 1 FROM templates WHERE id = ?", template) is None:
        raise Refused(404, "not-found", "there is no such template")
    return Plan(template, site.config.short_seconds)


def _land_template_delete(site: Site, task: sqlite3.Row) -> Landing:
    gone = site.execute("DELETE FROM templates WHERE id = ?", task["object"])
    if gone.rowcount == 0:
        return Landing("already gone", done=False)
    return Landing("the template was deleted")


_POWER = Job(_check_power, _land_power)

JOBS: Mapping[str, Job] = {
    "vm.start": _POWER,
    "vm.stop": _POWER,
    "vm.shutdown": _POWER,
    "image.copy": Job(_check_copy, _land_copy, deduplicated=True),
    "image.delete": Job(_check_image_delete, _land_image_delete),
    "template.create": Job(_check_template, _land_template, deduplicated=True),
    "template.delete": Job(_check_template_delete, _land_template_delete),
}
