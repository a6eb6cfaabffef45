"""Machines: a disk switched to another image, and the record removed at last."""

import json
import sqlite3

from earmark.lab.jobs.images import refuse_if_used
from earmark.lab.jobs.plan import Job, Landing, LandingFailed, Plan
from earmark.lab.jobs.power import power_state
from earmark.lab.model import Command, Refused
from earmark.lab.site import Site


def _check_switch(site: Site, command: Command) -> Plan:
    params = command.params
    disk = site.row(
        "SELECT * FROM disks WHERE id = ? AND vm = ?", params["disk"], params["vm"]
    )
    if disk is None:
        raise Refused(404, "not-found", "the virtual machine has no such disk")
    if disk["image"] == params["image"]:
        return Plan(disk["id"], already="already on that image")
    _refuse_switch(site, params["vm"], params["image"])
    return Plan(disk["id"], site.config.short_seconds)


def _refuse_switch(site: Site, vm: str, image: str) -> None:
    if site.row("SELECT 1 FROM images WHERE id = ?", image) is None:
        raise Refused(409, "no-such-image", f"there is no image {image}")
    refuse_if_used(site, image)
    _refuse_unless_off(site, vm)


def _refuse_unless_off(site: Site, vm_id: str) -> None:
    vm = site.row("SELECT * FROM vms WHERE id = ?", vm_id)
    if vm is None:
        raise Refused(404, "not-found", "there is no such virtual machine")
    state = power_state(site, vm)
    if state != "off":
        raise Refused(409, "wrong-state", f"the virtual machine is {state}, not off")


def _land_switch(site: Site, task: sqlite3.Row) -> Landing:
    params = json.loads(task["params"])
    disk = site.row("SELECT image FROM disks WHERE id = ?", task["object"])
    if disk is None:
        raise LandingFailed("the disk is gone")
    if disk["image"] == params["image"]:
        return Landing("already on that image", done=False)
    try:
        _refuse_switch(site, params["vm"], params["image"])
    except Refused as refusal:
        raise LandingFailed(refusal.message) from None
    site.execute(
        "UPDATE disks SET image = ? WHERE id = ?", params["image"], task["object"]
    )
    return Landing("the disk was switched")


def _check_delete(site: Site, command: Command) -> Plan:
    vm = command.params["vm"]
    _refuse_delete(site, vm)
    return Plan(vm, site.config.short_seconds)


def _refuse_delete(site: Site, vm: str) -> None:
    """Raise Refused while the VM runs, or while an image of its disks exists.

    As VDSM, the site removes no image by the way: whoever wants them gone says so.
    """
    _refuse_unless_off(site, vm)
    if site.row("SELECT 1 FROM disks WHERE vm = ?", vm) is not None:
        raise Refused(409, "has-disks", "images of its disks are still there")


def _land_delete(site: Site, task: sqlite3.Row) -> Landing:
    vm = task["object"]
    if site.row("SELECT 1 FROM vms WHERE id = ?", vm) is None:
        return Landing("already gone", done=False)
    try:
        _refuse_delete(site, vm)
    except Refused as refusal:
        raise LandingFailed(refusal.message) from None
    site.execute("DELETE FROM snapshots WHERE vm = ?", vm)
    site.execute("DELETE FROM vms WHERE id = ?", vm)
    return Landing("the virtual machine was deleted")


SWITCH = Job(_check_switch, _land_switch)
DELETE = Job(_check_delete, _land_delete)
