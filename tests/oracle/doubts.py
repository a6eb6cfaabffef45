"""What is found out at a provider, in the model: jobs are followed to their real end,
and what is in doubt is asked about and judged."""

from earmark.domain.command import ExternalJob
from earmark.domain.connector import EffectClass
from tests.oracle.again import promise_again
from tests.oracle.lost import hold
from tests.oracle.model import Model
from tests.oracle.site import AGAIN, OPERATIONS
from tests.oracle.things import Effect, Error, Task
from tests.oracle.workers import token_valid

#: A job that goes on although it was asked to stop is asked again, this often.
ASK_EVERY = 30
#: Where a poller can be killed.
INSTANTS = ("cancel.asked", "poll.answered", "probe.answered")
#: Effects that a provider is asked about.
ASKED = ("bound", "in_doubt", "held")
#: Sends that came to nothing, before a person is asked.
MOST_SENDS = 5


def check(model: Model, provider: str, until: str | None = None) -> int:
    """Ask a provider about all that is under way; returns how much that was. A poller
    may be killed as soon as it has come to an instant (`until`)."""
    bound = _due(model, provider, "bound")
    for task, effect in bound:
        stops = task.cancelled_by and can_be_stopped(task)
        if stops and _ask_to_stop(model, task, effect, until != "cancel.asked"):
            return 0
    if bound and until == "poll.answered":
        return 0
    for task, effect in bound:
        if not model.site.down:
            _follow(model, task, effect)
    doubtful = _due(model, provider, "in_doubt", "held")
    if doubtful and until == "probe.answered":
        return 0
    # What is stopped while others are judged is judged so at the next look.
    stopping = [task.stop for task, _ in doubtful]
    for (task, effect), stop in zip(doubtful, stopping, strict=True):
        if not model.site.down:
            _look(model, task, effect, stop)
    return len(bound) + len(doubtful)


def can_be_stopped(task: Task) -> bool:
    """Its author has written how."""
    return type(task.command).cancel is not ExternalJob.cancel  # type: ignore[attr-defined]


def _due(model: Model, provider: str, *states: str) -> list[tuple[Task, Effect]]:
    """By their states; what one command can ask about together comes together."""
    due = [
        (task, effect)
        for state in states
        for task, effect in model.effects()
        if effect.state == state and effect.due and task.command.provider == provider  # type: ignore[attr-defined]
    ]
    kinds = list(dict.fromkeys(type(task.command) for task, _ in due))
    return sorted(due, key=lambda one: kinds.index(type(one[0].command)))


def _ask_to_stop(model: Model, task: Task, effect: Effect, noted: bool) -> bool:
    """True when it was asked, and that is not to be `noted`."""
    asked = effect.asked_to_stop
    if asked is not None and model.now - asked < ASK_EVERY:
        return False
    if not model.site.down:
        model.site.stop(str(effect.handle))
        model.happened["asked to stop"] += 1
        if not noted:
            return True
    effect.asked_to_stop = model.now
    return False


def _follow(model: Model, task: Task, effect: Effect) -> None:
    """ "Accepted" is not "done", and "not found" is not "failed" (rule 4)."""
    status = model.site.status(str(effect.handle))
    if status == "running":
        effect.doubt_since = None
    elif status in ("done", "failed", AGAIN):
        landed = effect.landed_by()
        absolute = effect.effect is EffectClass.ABSOLUTE
        if absolute and (landed is None or landed > model.now):
            # What was never answered may bring it about, or take it back (rule 12).
            model.happened["reached, and may be undone"] += 1
        else:
            settle(model, task, effect, status)
    else:
        effect.state = "in_doubt"
        if effect.doubt_since is None:
            effect.doubt_since = model.now
        model.happened["lost"] += 1


def settle(model: Model, task: Task, effect: Effect, status: str) -> None:
    """The effect has reached its end at the provider."""
    stopped = task.cancelled_by is not None and effect.asked_to_stop is not None
    code = AGAIN if status == AGAIN else "broken"
    effect.state, effect.due = "settled", False
    if status == "done":
        effect.ended_well = True
        if task.verdict is None:
            model.end(task, "ok")
        else:
            # It was to fail, and was only followed: that is there now (rule 8).
            error = task.error or Error("failed")
            model.happened["too late"] += 1
            model.fail(task, error.code)
    elif stopped:
        model.end(task, "cancelled")
    elif not promise_again(model, task, code):
        model.fail(task, code)


def _look(model: Model, task: Task, effect: Effect, stop: bool) -> None:
    ours = model.site.shown(effect.id, effect.effect)
    held = effect.state == "held"
    heard = effect.heard
    if held and heard == effect.handle:
        heard = None
    if heard is not None:
        # Our own send has heard this name: that is proof.
        ours = [heard, *(it for it in ours if it != heard)]
    if not held:
        _judge(model, task, effect, ours, stop)
    elif ours:
        _adopt(model, task, effect, ours[0])
    elif not effect.decided:
        effect.due = False
    else:
        effect.state, effect.due = "settled", False
        model.happened["absent, as a person said"] += 1
        model.end(task, "failed", Error("absent"))


def _judge(
    model: Model, task: Task, effect: Effect, ours: list[str], stop: bool
) -> None:
    operation = OPERATIONS[effect.effect]
    since = model.now if effect.doubt_since is None else effect.doubt_since
    overdue = model.now - since > operation.hold_after.total_seconds()
    if ours:
        followed = ours[0] == effect.handle and not _ended(model, effect, ours[0])
        if overdue and followed:
            hold(model, task, effect)
        else:
            _adopt(model, task, effect, ours[0])
        return
    if effect.effect is EffectClass.NONE:
        hold(model, task, effect)
        return
    left = [one.at if one.over is None else one.over for one in effect.sends]
    visible = max(left, default=model.now) + operation.visibility_lag.total_seconds()
    landed = effect.landed_by()
    refused = effect.sends[-1].refused if effect.sends and not stop else ""
    may_send = operation.repeatable and not stop and not refused
    if model.now < visible:
        verdict = "wait"
    elif effect.handle is not None:
        verdict = "hold"
    elif may_send and token_valid(effect, model.now):
        verdict = "send"
    elif landed is None or model.now < landed:
        verdict = "wait"
    else:
        verdict = "refuse" if refused else "plan"
    in_vain = len(effect.sends) >= MOST_SENDS and (overdue or verdict == "plan")
    if (overdue and verdict == "wait") or (in_vain and verdict in ("send", "plan")):
        verdict = "hold"
    _conclude(model, task, effect, verdict)


def _conclude(model: Model, task: Task, effect: Effect, verdict: str) -> None:
    model.happened[f"judged: {verdict}"] += 1
    if verdict == "hold":
        hold(model, task, effect)
    elif verdict == "send" and not task.stop:
        effect.resend, effect.due = True, False
        task.state = "queued"
    elif verdict == "refuse":
        code = effect.sends[-1].refused
        effect.state, effect.due = "refused", False
        if not promise_again(model, task, code):
            model.end(task, "failed", Error(code))
    elif verdict == "plan" and task.stop:
        effect.state, effect.due = "dropped", False
        model.end(task, "cancelled")
    elif verdict == "plan":
        effect.state, effect.due, effect.doubt_since = "planned", False, None
        task.state = "queued"


def _ended(model: Model, effect: Effect, handle: str) -> bool:
    """A look shows the end of what is made, and of a state only that it is so. What is
    named by a late answer alone is not shown."""
    if effect.effect is EffectClass.ABSOLUTE:
        return False
    shown = handle in model.site.shown(effect.id, effect.effect)
    return shown and model.site.status(handle) in ("done", "failed", AGAIN)


def _adopt(model: Model, task: Task, effect: Effect, handle: str) -> None:
    """It is there, and ours."""
    model.happened["found"] += 1
    if _ended(model, effect, handle):
        effect.handle = handle
        settle(model, task, effect, model.site.status(handle))
        return
    again = handle == effect.handle
    effect.state, effect.handle, effect.due = "bound", handle, True
    effect.doubt_since = effect.doubt_since if again else None
    effect.resend = effect.decided = False
    if task.state not in ("waiting", "cancelling"):
        model.rest(task)
