"""`earmark tasks cancel|retry|resolve`: what a person asks of a task that is there."""

import sys

import click

from earmark.cli.asking import How, answer, asks, json_option
from earmark.cli.documents import case_document, task_document
from earmark.cli.exits import Exit
from earmark.cli.finding import find
from earmark.cli.output import print_json, say
from earmark.cli.session import Session, pass_session
from earmark.cli.task_facts import FLAGS, print_case
from earmark.domain.errors import BadInput, Rejected
from earmark.domain.task import LOCAL_OWNER, Task
from earmark.engine import cancel as cancelling
from earmark.engine import resolve as resolving
from earmark.engine import retry as retrying
from earmark.engine.browse import face
from earmark.engine.cancel import Offer
from earmark.engine.evidence import Case, case, meant
from earmark.engine.resolve import Decision
from earmark.engine.runtime import Engine
from earmark.store.database import Transaction

#: What may happen more than once, or not be looked at again, is asked about first.
_ASKED_FIRST = (Decision.SEND_AGAIN, Decision.WATCH, Decision.LEAVE_BEHIND)


@click.command()
@click.argument("task_id", metavar="ID")
@asks
@pass_session
def cancel(
    session: Session, task_id: str, wait: bool, timeout: float | None, as_json: bool
) -> Exit:
    """Ask a task to stop, after saying what that means now.

    What was sent already ends as the provider says: the exit code is 3 when it was
    cancelled, 0 when it ended well before it could be stopped, and 1 when it failed.
    What has ended already, or is being taken back already, is refused, with 1.
    """

    def look(tx: Transaction) -> tuple[Task, Offer | None]:
        task = find(tx, task_id)
        return task, cancelling.offer(tx, task)

    with session.engine() as engine:
        task, offered = engine.read(look)
        if offered is not None:
            say(f"Cancel “{task.title}”: {offered.text}")
        task = cancelling.cancel(engine, task.id, LOCAL_OWNER)
        code = answer(engine, task, How(wait, timeout, as_json))
        if wait and code is Exit.OK:
            say("The cancel came too late: it ended well before it could be stopped.")
        return code


@click.command()
@click.argument("task_id", metavar="ID")
@asks
@pass_session
def retry(
    session: Session, task_id: str, wait: bool, timeout: float | None, as_json: bool
) -> Exit:
    """Ask for an ended task again: a new task, linked with the old one."""
    with session.engine() as engine:
        old = engine.read(lambda tx: find(tx, task_id))
        new = retrying.retry(engine, old.id, LOCAL_OWNER)
        say(f"Task {new.id} tries {old.id} again.")
        return answer(engine, new, How(wait, timeout, as_json))


@click.command()
@click.argument("task_id", metavar="ID")
@click.option("--adopt", metavar="EXTERNAL_ID", help="It is there, by this id.")
@click.option("--absent", is_flag=True, help="It is not there, and will not come.")
@click.option("--send-again", is_flag=True, help="Send the same request once more.")
@click.option(
    "--watch", is_flag=True, help="Give up waiting; what became of it stays open."
)
@click.option("--undo-again", is_flag=True, help="Try again to take it back.")
@click.option(
    "--leave-behind", is_flag=True, help="It stays at the provider; the task ends."
)
@click.option("--yes", is_flag=True, help="Do not ask whether it is meant.")
@json_option
@pass_session
def resolve(
    session: Session,
    task_id: str,
    adopt: str | None,
    absent: bool,
    send_again: bool,
    watch: bool,
    undo_again: bool,
    leave_behind: bool,
    yes: bool,
    as_json: bool,
) -> Exit:
    """Decide about a held task what nobody could find out.

    Without a decision it prints the evidence and what can be decided, and exits 2. The
    id of a root stands for the one part of it that is held.
    """
    given = {
        Decision.ADOPT: adopt is not None,
        Decision.ABSENT: absent,
        Decision.SEND_AGAIN: send_again,
        Decision.WATCH: watch,
        Decision.UNDO_AGAIN: undo_again,
        Decision.LEAVE_BEHIND: leave_behind,
    }
    chosen = [decision for decision, is_given in given.items() if is_given]
    if len(chosen) > 1:
        raise BadInput(f"Only one decision at a time: {_flags(*chosen)}.")

    def look(tx: Transaction) -> tuple[Task, Case | None]:
        task = meant(tx, find(tx, task_id))
        return task, case(tx, task)

    with session.engine() as engine:
        task, known = engine.read(look)
        if not chosen:
            return _show(engine, task, known, as_json)
        if not yes and not _confirmed(chosen[0], known):
            say("Nothing was decided.")
            return Exit.INTERRUPTED
        task = resolving.resolve(
            engine, task.id, chosen[0], LOCAL_OWNER, external_id=adopt
        )
        return _say_how_it_is(engine, task, as_json)


def _flags(*decisions: Decision) -> str:
    return ", ".join(FLAGS[decision] for decision in decisions)


def _show(engine: Engine, task: Task, known: Case | None, as_json: bool) -> Exit:
    """Print what is known, for whoever has not decided yet."""
    if known is None:
        raise Rejected(
            f"“{task.title}” is not held: nobody needs to decide about it.",
            hint=f"See `earmark tasks show {task.id}`.",
        )
    if as_json:
        shown = engine.read(lambda tx: face(tx, task))
        print_json(task_document(shown) | case_document(None, known))
    else:
        print_case(known)
    if known.choices:
        offered = _flags(*(it.decision for it in known.choices))
        say(f"Nothing was decided: give one of {offered}.")
    return Exit.USAGE


def _confirmed(decision: Decision, known: Case | None) -> bool:
    """Ask on a terminal, where a decision can do harm; a script has said it."""
    if decision not in _ASKED_FIRST or known is None or not sys.stdin.isatty():
        return True
    for choice in known.choices:
        if choice.decision is decision:
            say(f"{choice.label}: {choice.text}")
    return click.confirm(f"{decision.value}: is that meant?", err=True)


def _say_how_it_is(engine: Engine, task: Task, as_json: bool) -> Exit:
    if as_json:
        print_json(task_document(engine.read(lambda tx: face(tx, task))))
        return Exit.OK
    said = f": {task.message}" if task.message else ""
    click.echo(f"{task.title}: {task.outcome or task.state}{said}")
    if task.root_id != task.id or not task.done:
        say(f"Follow it with `earmark tasks wait {task.root_id}`.")
    return Exit.OK
