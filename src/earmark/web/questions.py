"""What is asked before it is done: what it means now, in the engine's own words."""

from earmark.domain.task import Task
from earmark.engine.cancel import Offer, refusal
from earmark.engine.evidence import Case
from earmark.engine.resolve import Choice, Decision
from earmark.web.pages import Question

#: What may happen twice, or is not waited for any more, is asked about first.
ASKED_FIRST = (Decision.SEND_AGAIN, Decision.WATCH, Decision.LEAVE_BEHIND)


def of_cancel(task: Task, offered: Offer | None) -> Question:
    """Ask whether a task is to stop; without an offer, say why it cannot."""
    title = f"“{task.title}”"
    return Question(
        name="cancel",
        title=f"Cancel {title}?" if offered else f"{title} cannot be cancelled",
        text=offered.text if offered else refusal(task),
        action=f"/tasks/{task.id}/cancel",
        word="Cancel the task" if offered else "",
        back=f"/tasks/{task.id}",
    )


def of_decisions(held: Case | None) -> tuple[Question, ...]:
    """Ask about each decision that can do harm."""
    if held is None:
        return ()
    risky = [it for it in held.choices if it.decision in ASKED_FIRST]
    return tuple(_of_decision(held.task, choice) for choice in risky)


def _of_decision(task: Task, choice: Choice) -> Question:
    return Question(
        name=choice.decision,
        title=f"{choice.label}?",
        text=choice.text,
        action=f"/tasks/{task.id}/resolve",
        word=choice.label,
        back=f"/tasks/{task.id}",
        fields=(("decision", choice.decision),),
    )
