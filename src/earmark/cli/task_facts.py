"""`earmark tasks show`: all that is known of one task, the evidence if it is held."""

import click

from earmark.cli.asking import json_option
from earmark.cli.documents import case_document, task_document
from earmark.cli.finding import find
from earmark.cli.output import moment, print_facts, print_json, print_rows
from earmark.cli.session import Session, pass_session
from earmark.domain.states import TaskState
from earmark.engine import cancel
from earmark.engine.browse import TaskFace, face
from earmark.engine.cancel import Offer
from earmark.engine.evidence import Case, case, decidable
from earmark.engine.explain import WaitingFor
from earmark.engine.resolve import Decision
from earmark.store.database import Transaction

#: What a person types for each decision.
FLAGS = {
    Decision.ADOPT: "--adopt EXTERNAL_ID",
    Decision.ABSENT: "--absent",
    Decision.SEND_AGAIN: "--send-again",
    Decision.WATCH: "--watch",
    Decision.UNDO_AGAIN: "--undo-again",
    Decision.LEAVE_BEHIND: "--leave-behind",
}


@click.command()
@click.argument("task_id", metavar="ID")
@json_option
@pass_session
def show(session: Session, task_id: str, as_json: bool) -> None:
    """Show one task; when a person must or can decide, with the evidence and how."""

    def work(tx: Transaction) -> tuple[TaskFace, Offer | None, list[Case]]:
        task = find(tx, task_id)
        found = (case(tx, part) for part in decidable(tx, task))
        return face(tx, task), cancel.offer(tx, task), [it for it in found if it]

    with session.engine() as engine:
        task, offered, cases = engine.read(work)
    if as_json:
        own = next((it for it in cases if it.task.id == task.id), None)
        print_json(task_document(task) | case_document(offered, own))
        return
    print_facts(_facts(task, offered))
    for held in cases:
        print_case(held)


def print_case(held: Case) -> None:
    """What is known of a held task, or of a step of an undo that waits, and what can be
    decided about it."""
    effect = held.effect
    facts = {
        "held" if held.task.state is TaskState.HELD else "waits": held.task.title,
        "task": held.task.id,
        "why": held.task.message,
    }
    if effect is not None:
        facts |= {
            "asked for": f"{effect.operation}, class {effect.effect}",
            "token": effect.id,
            "first sent": moment(effect.first_sent_at) if effect.first_sent_at else "",
            "known there as": held.handle or "no id from the provider",
        }
    click.echo("")
    print_facts(facts)
    click.echo("")
    pieces = [(moment(it.at), it.kind, it.text) for it in held.seen]
    print_rows(("SEEN AT", "KIND", "EVIDENCE"), pieces)
    if not held.choices:
        click.echo("\nDecided already; the provider is being asked once more.")
        return
    click.echo("")
    ways = [(FLAGS[it.decision], f"{it.label}: {it.text}") for it in held.choices]
    print_rows(("TO DECIDE", "WHAT IT DOES"), ways)
    click.echo(
        f"\nDecide with `earmark tasks resolve {held.task.id}` and one of these."
    )


def _facts(task: TaskFace, offered: Offer | None) -> dict[str, str]:
    return {
        "task": task.title,
        "id": task.id,
        "command": task.command,
        "state": task.outcome or task.state,
        "progress": "" if task.outcome else f"{task.progress} %",
        "message": _message(task),
        "error": _error(task),
        "result": "" if task.result is None else str(task.result),
        "waiting": _waiting(task.waiting_for) if task.waiting_for else "",
        "expected": task.expected.text if task.expected else "",
        "object": f"{task.object.type} {task.object.name}" if task.object else "",
        "asked by": task.user,
        **_asked_to_stop(task),
        "cancel": offered.text if offered else "",
        "takes back": task.undoes or "",
        "retry of": task.retry_of or "",
        "retried by": task.retried_by or "",
        "runs in": f"zone {task.zone}, role {task.role}",
        "part of": task.parent or "",
        "tried": f"{task.tries} times" if task.tries > 1 else "",
        "asked": moment(task.created_at),
        "started": moment(task.started_at) if task.started_at else "",
        "finished": moment(task.finished_at) if task.finished_at else "",
    }


def _asked_to_stop(task: TaskFace) -> dict[str, str]:
    if task.cancelled_by is None:
        return {}
    label, who = cancel.asked_by(task.outcome, task.cancelled_by)
    return {label: who}


def _waiting(reason: WaitingFor) -> str:
    lines = [f"{reason.text.rstrip('.')}, since {moment(reason.since)}"]
    if reason.next_check:
        lines.append(f"looked at next {moment(reason.next_check)}")
    if reason.who == "person":
        lines.append("only a person can end this")
    return "\n".join(lines)


def _message(task: TaskFace) -> str:
    """Nothing, if the error below says the same."""
    same = task.error is not None and task.message == task.error.get("message")
    return "" if same else task.message


def _error(task: TaskFace) -> str:
    if not task.error:
        return ""
    lines = [f"{task.error.get('code')}: {task.error.get('message')}"]
    lines += [f"taken back by: {what}" for what in task.error.get("undone", ())]
    lines += [f"left behind: {what}" for what in task.error.get("left_behind", ())]
    lines += [f"not done: {what}" for what in task.error.get("not_done", ())]
    return "\n".join(lines)
