"""Tasks: accepted now, landed later, and stopped, reverted or cleared in between.

They follow VDSM's rules: a stop is ignored when the task is done, revert and clear
are allowed only then, and a finished task stays in the list until it is cleared.
"""

import json
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import asdict
from uuid import uuid4

from earmark.lab import ledger
from earmark.lab.jobs import JOBS
from earmark.lab.jobs.images import refuse_if_used, remove_image
from earmark.lab.jobs.plan import LandingFailed, Plan
from earmark.lab.jobs.power import OPEN_POWER_TASKS
from earmark.lab.model import Command, Refused, Reply, Shape
from earmark.lab.site import Site

ABORT_SECONDS = 0.4
"""How long a stopped task takes to end; the second half is shown as cleaning."""

NO_SPACE = "simulated: no space left on domain"


def execute(site: Site, command: Command, shape: Shape) -> Reply:
    """Carry out a command in one transaction and return the answer.

    Raises Refused when the site does not take it; then nothing was changed.
    """
    with site.transaction():
        return _dispatch(site, command, shape)


def put_off(site: Site, command: Command, shape: Shape, seconds: float) -> None:
    """Keep a command that will arrive only after ``seconds``, even over a restart."""
    with site.transaction():
        site.execute(
            "INSERT INTO late (due_at, command, shape) VALUES (?, ?, ?)",
            site.now() + seconds,
            json.dumps(asdict(command)),
            json.dumps(asdict(shape)),
        )


def advance(site: Site) -> None:
    """Do what is due by now: late requests arrive, tasks begin and land.

    Each is a transaction of its own, in order of the time at which it was due.
    """
    for late in site.rows(
        "SELECT * FROM late WHERE due_at <= ? ORDER BY due_at, seq", site.now()
    ):
        with site.transaction():
            _arrive_late(site, late)
    if site.row("SELECT 1 FROM tasks WHERE state = 'init'") is not None:
        with site.transaction():
            site.execute("UPDATE tasks SET state = 'running' WHERE state = 'init'")
    due = site.rows(
        "SELECT id FROM tasks WHERE state != 'finished' AND due_at <= ?"
        " ORDER BY due_at, seq",
        site.now(),
    )
    for row in due:
        with site.transaction():
            _end(site, _task(site, row["id"]))


def displayed_state(site: Site, task: sqlite3.Row) -> str:
    """Return a task's state in VDSM's words."""
    if task["state"] == "aborting" and task["due_at"] - site.now() < ABORT_SECONDS / 2:
        return "cleaning"
    return str(task["state"])


def progress(site: Site, task: sqlite3.Row) -> int:
    """Return how far a task is, in per cent; 100 is kept for a good end."""
    if task["progress"] is not None:
        return int(task["progress"])
    if task["seconds"] == 0:
        return 0
    part = (site.now() - task["created_at"]) / task["seconds"]
    return max(0, min(99, int(part * 100)))


def _dispatch(site: Site, command: Command, shape: Shape) -> Reply:
    action = _ACTIONS.get(command.verb)
    if action is None:
        return _accept(site, command, shape)
    task = site.row(
        "SELECT * FROM tasks WHERE id = ? AND NOT hidden", command.params["task"]
    )
    if task is None:
        raise Refused(404, "not-found", "there is no such task")
    action(site, task)
    return Reply(200, {"task": task["id"]})


def _arrive_late(site: Site, late: sqlite3.Row) -> None:
    site.execute("DELETE FROM late WHERE seq = ?", late["seq"])
    try:
        _dispatch(
            site,
            Command(**json.loads(late["command"])),
            Shape(**json.loads(late["shape"])),
        )
    except Refused:
        # Its sender is long gone and nobody is left to tell. A refusal comes before
        # the first change, so the transaction holds only the removal from the queue.
        return


def _accept(site: Site, command: Command, shape: Shape) -> Reply:
    params = json.dumps(command.params, sort_keys=True)
    job = JOBS[command.verb]
    if job.deduplicated and command.token is not None and not shape.ignore_token:
        known = _known_task(site, command.token)
        if known is not None:
            if (known["verb"], known["params"]) != (command.verb, params):
                raise Refused(409, "token-mismatch", "the token was used for another")
            return Reply(200, {"task": known["id"]})
    plan = job.check(site, command)
    if command.verb == "vm.stop" and plan.already is None:
        _overtake_start(site, plan.object)
    task_id = _insert(site, command, params, plan, shape)
    return Reply(202, {"task": task_id})


def _known_task(site: Site, token: str) -> sqlite3.Row | None:
    # Hidden tasks count: a token is remembered when its task is cleared or forgotten.
    verbs = [verb for verb, job in JOBS.items() if job.deduplicated]
    return site.row(
        "SELECT * FROM tasks WHERE token = ?"
        " AND verb IN (SELECT value FROM json_each(?)) ORDER BY seq",
        token,
        json.dumps(verbs),
    )


def _insert(site: Site, command: Command, params: str, plan: Plan, shape: Shape) -> str:
    task_id = str(uuid4())
    now = site.now()
    fails = shape.fail_half_way
    site.execute(
        """INSERT INTO tasks (id, verb, state, fate, message, token, mark, object,
            params, details, created_at, seconds, due_at, hidden)
        VALUES (?, ?, 'init', ?, 'accepted', ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
        task_id,
        command.verb,
        "fail" if fails else "ok",
        command.token,
        command.mark,
        plan.object,
        params,
        json.dumps(plan.details),
        now,
        plan.seconds,
        now + (plan.seconds / 2 if fails else plan.seconds),
        shape.forget_task,
    )
    if plan.already is not None:
        _finish(site, task_id, "ok", plan.already, 100)
    return task_id


def _overtake_start(site: Site, vm: str) -> None:
    for task in site.rows(OPEN_POWER_TASKS, vm):
        if task["verb"] == "vm.start":
            reached = progress(site, task)
            _finish(site, task["id"], "aborted", "overtaken by vm.stop", reached)


def _end(site: Site, task: sqlite3.Row) -> None:
    if task["fate"] == "abort":
        _finish(site, task["id"], "aborted", "aborted", task["progress"])
        return
    if task["fate"] == "fail":
        half = JOBS[task["verb"]].half
        if half is not None:
            half(site, task)
        _finish(site, task["id"], "failed", NO_SPACE, 50)
        return
    try:
        landing = JOBS[task["verb"]].land(site, task)
    except LandingFailed as failure:
        _finish(site, task["id"], "failed", str(failure), 99)
        return
    if landing.done:
        ledger.record_effect(site, task["verb"], task["token"], task["object"])
    _finish(site, task["id"], "ok", landing.message, 100)
    if landing.data is not None:
        site.execute(
            "UPDATE tasks SET result_data = ? WHERE id = ?",
            json.dumps(landing.data),
            task["id"],
        )


def _finish(site: Site, task_id: str, result: str, message: str, reached: int) -> None:
    site.execute(
        """UPDATE tasks SET state = 'finished', result = ?, message = ?, progress = ?,
        finished_at = ? WHERE id = ?""",
        result,
        message,
        reached,
        site.now(),
        task_id,
    )


def _task(site: Site, task_id: str) -> sqlite3.Row:
    task = site.row("SELECT * FROM tasks WHERE id = ?", task_id)
    assert task is not None
    return task


def _stop(site: Site, task: sqlite3.Row) -> None:
    # A task that is due is as good as done, though the lab has not come to it yet.
    if task["state"] not in ("init", "running") or task["due_at"] <= site.now():
        return
    site.execute(
        """UPDATE tasks SET state = 'aborting', fate = 'abort', message = 'aborting',
        progress = ?, due_at = ? WHERE id = ?""",
        progress(site, task),
        site.now() + ABORT_SECONDS,
        task["id"],
    )


def _revert(site: Site, task: sqlite3.Row) -> None:
    _require_done(task)
    if task["verb"] != "image.copy":
        raise Refused(409, "not-revertible", "only a copy can be reverted")
    if task["result"] != "ok":
        return
    refuse_if_used(site, task["object"])
    if remove_image(site, task["object"]):
        ledger.record_effect(site, "task.revert", task["token"], task["object"])


def _clear(site: Site, task: sqlite3.Row) -> None:
    _require_done(task)
    site.execute("UPDATE tasks SET hidden = 1 WHERE id = ?", task["id"])


def _require_done(task: sqlite3.Row) -> None:
    if task["state"] != "finished":
        raise Refused(409, "not-done", "the task is not done yet")


_ACTIONS: Mapping[str, Callable[[Site, sqlite3.Row], None]] = {
    "task.stop": _stop,
    "task.revert": _revert,
    "task.clear": _clear,
}
