"""What a person asks of a task that is there: cancel, retry, resolve."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from earmark.domain.errors import BadInput, UnknownName
from earmark.domain.task import LOCAL_OWNER, Task
from earmark.engine import cancel as cancelling
from earmark.engine import evidence
from earmark.engine import resolve as resolving
from earmark.engine import retry as retrying
from earmark.engine.resolve import Decision
from earmark.store import tasks as rows
from earmark.store.database import Transaction
from earmark.web import questions
from earmark.web.pages import Question, QuestionPage
from earmark.web.site import Form, Site, fresh_key, go, posting, show, site_of


def ask_cancel(request: Request) -> Response:
    """Ask on a page of its own whether the task is to stop."""
    task_id = request.path_params["task"]

    def work(tx: Transaction) -> Question:
        task = rows.get(tx, task_id)
        return questions.of_cancel(task, cancelling.offer(tx, task))

    return show(request, QuestionPage(site_of(request).read(work), fresh_key()))


def cancel(request: Request, form: Form) -> Response:
    """Ask the task to stop, and show it again."""
    engine = site_of(request).engine
    task = cancelling.cancel(engine, request.path_params["task"], LOCAL_OWNER)
    return go(f"/tasks/{task.id}")


def retry(request: Request, form: Form) -> Response:
    """Ask for it again, and show the new task."""
    which = request.path_params["task"]
    task = retrying.retry(site_of(request).engine, which, LOCAL_OWNER, join=True)
    return go(f"/tasks/{task.id}")


def ask_decision(request: Request) -> Response:
    """Ask on a page of its own whether a decision is meant."""
    task_id = request.path_params["task"]
    decision = decision_of(request.query_params.get("decision", ""))

    def work(tx: Transaction) -> tuple[Question, ...]:
        task = rows.get(tx, task_id)
        return questions.of_decisions(evidence.case(tx, task))

    for question in site_of(request).read(work):
        if question.name == decision:
            return show(request, QuestionPage(question, fresh_key()))
    raise UnknownName(
        "There is nothing to decide like that about this task now.",
        hint="Look at the task again: it may have gone on.",
    )


def resolve(request: Request, form: Form) -> Response:
    """Carry out a decision about a held task, and show it again."""
    decision = decision_of(form.get("decision", ""))
    named = form.get("external_id", "").strip() or None
    task = decide(site_of(request), request.path_params["task"], decision, named)
    return go(f"/tasks/{task.id}")


def decide(
    site: Site, task_id: str, decision: Decision, external_id: str | None
) -> Task:
    """Resolve a held task; a root stands for the one part of it that is held."""
    part = site.read(lambda tx: evidence.meant(tx, rows.get(tx, task_id)))
    return resolving.resolve(
        site.engine, part.id, decision, LOCAL_OWNER, external_id=external_id
    )


def decision_of(word: str) -> Decision:
    """Read a decision; raises `BadInput`."""
    if word not in list(Decision):
        raise BadInput(
            f"There is no decision {word[:40]!r}.",
            hint=f"There are: {', '.join(Decision)}.",
            fields={"decision": "is unknown"},
        )
    return Decision(word)


ROUTES = [
    Route("/tasks/{task}/cancel", ask_cancel),
    Route("/tasks/{task}/cancel", posting(cancel), methods=["POST"]),
    Route("/tasks/{task}/retry", posting(retry), methods=["POST"]),
    Route("/tasks/{task}/resolve", ask_decision),
    Route("/tasks/{task}/resolve", posting(resolve), methods=["POST"]),
]
