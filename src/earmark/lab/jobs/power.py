"""Power: start, stop and shutdown, with the transition in between."""

import json
import sqlite3

from earmark.lab.jobs.plan import Job, Landing, Plan
from earmark.lab.model import Command, Refused
from earmark.lab.site import Site

OPEN_POWER_TASKS = """
    SELECT * FROM tasks WHERE object = ? AND state IN ('init', 'running')
    AND verb IN ('vm.start', 'vm.stop', 'vm.shutdown')
    AND json_extract(details, '$.target') IS NOT NULL
    ORDER BY seq DESC
"""


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


POWER = Job(_check_power, _land_power)
