"""The model's poller and prober: they follow what is bound, look for what is in doubt
and judge it (poll.py, note.py, look.py, judge.py, probe.py, confirm.py)."""

from tests.model.checker import Move
from tests.model.sending import Moves, unknown
from tests.model.state import Config, State, taken


def can_land(s: State, c: Config) -> bool:
    """What the engine takes for so: `sends.landed_by`, and the provider's lag."""
    need = 0
    if c.on("horizon"):
        need = 2 if c.lag and c.on("late listing") else 1
    rows = (send for send in s.sends if send.row)
    return any(not r.answered and (not r.over or r.calm < need) for r in rows)


def look(s: State, c: Config) -> Moves:
    """Read what is known of the sends, then ask the provider; the verdict is kept in
    mind, and written by `conclude`, perhaps much later."""
    verdict = ""
    if s.effect == "in_doubt" and (not s.resend or s.heard):
        verdict = _judge(s, c)
    elif s.effect == "held" and (s.decision or (s.heard and s.handle != "ours")):
        verdict = _confirm(s, c)
    if verdict and verdict != s.look:
        yield Move(f"look: {verdict}", s._replace(look=verdict))


def _shown(s: State, c: Config) -> tuple[int, bool]:
    """What the provider shows that may be ours: ours, and somebody else's."""
    if c.effect == "none":
        return 0, False
    strange = s.foreign == "listed"
    if c.effect == "tasks":
        strange = strange and s.noted != "foreign"
    return s.listed, strange


def _judge(s: State, c: Config) -> str:
    ours, strange = _shown(s, c)
    if c.effect == "tasks" and (ours or strange):
        if ours + strange > 1 or not s.noted:
            return "ours" if s.heard and not strange else "hold"
        return "ours" if ours else "foreign"
    if s.heard or ours:
        return "ours"
    if strange and not c.on("mark"):
        return "foreign"
    if strange or s.handle or c.effect == "none":
        return "hold"
    room = len(s.sends) < c.most_sends
    fresh = s.token == "fresh" or not c.on("token life")
    stopping = s.stop and c.on("stop")
    refused = _refused_last(s) and not stopping
    if c.repeatable and fresh and not stopping and not refused:
        return "again" if room else "hold"
    if not c.on("reads first"):
        return "nothing"
    if can_land(s, c) and not (refused and not c.on("refusal, again")):
        return ""
    if refused:
        return "refused"
    return "absent" if room else "hold"


def _refused_last(s: State) -> bool:
    """The last request that is known of got a definite no."""
    return [send.refused for send in s.sends if send.row][-1:] == [True]


def _confirm(s: State, c: Config) -> str:
    ours, strange = _shown(s, c)
    if s.heard and s.handle != "ours":
        return "ours"
    if c.effect == "tasks":  # no marks: what is there is shown to the person
        return "still" if ours or strange else "absent"
    if ours:
        return "ours"
    return "still" if strange else "absent"


def conclude(s: State, c: Config) -> Moves:
    """Write what was judged, unless somebody else was first."""
    if not s.look:
        return
    verdict = s.look
    if verdict == "nothing":
        verdict = "" if can_land(s, c) else "absent"
    s = s._replace(look="")
    if s.effect == "held":
        yield from _confirmed(s, verdict)
        return
    if s.effect != "in_doubt":  # only without the fence of versions
        if verdict == "absent" and s.effect == "sending":
            planned = s._replace(effect="planned", doubted=False, task="queued")
            workers = taken(s.workers, c)
            yield Move("absent: planned again", planned._replace(workers=workers))
        return
    if s.heard and verdict != "hold":
        verdict = "ours"
    free = s._replace(workers=taken(s.workers, c))
    if verdict in ("ours", "foreign"):
        yield from _adopted(free, verdict, c)
    elif verdict == "hold":
        yield Move("held", free._replace(effect="held", task="held", resend=False))
    elif verdict == "again" and not s.stop:
        yield Move("cleared to be sent again", s._replace(resend=True, task="queued"))
    elif verdict == "refused" and not _unasked(s, c):
        yield Move("absent: refused", s._replace(effect="refused", task="done"))
    elif verdict == "absent" and s.stop and not _unasked(s, c):
        yield Move("absent: dropped", s._replace(effect="dropped", task="done"))
    elif verdict == "refused":
        yield Move(
            "put back: what the copy does not know is asked about", unknown(s, c)
        )
    elif verdict == "absent":
        planned = s._replace(effect="planned", doubted=False, task="queued")
        yield Move("absent: planned again", planned)


def _unasked(s: State, c: Config) -> bool:
    """Put back since, and what the copy does not know was not asked about yet."""
    return s.restored and not s.asked and c.on("asked before dropped")


def _adopted(free: State, verdict: str, c: Config) -> Moves:
    again = free.handle == verdict
    bound = free._replace(
        effect="bound",
        handle=verdict,
        doubted=free.doubted and again,
        task="waiting",
        resend=False,
        decision=False,
    )
    yield Move("adopt", bound)
    if verdict == "ours" and not _may_take_it_back(free, c, "rule 12, found"):
        ended = bound._replace(effect="settled", task="done")
        yield Move("adopt: it has ended well", ended._replace(end="ok"))
        yield Move("adopt: it has failed", ended._replace(end="failed"))


def _confirmed(s: State, verdict: str) -> Moves:
    if verdict == "ours" or (s.heard and s.handle != "ours"):
        bound = s._replace(effect="bound", handle="ours", doubted=False)
        yield Move("adopt", bound._replace(task="waiting", decision=False))
    elif verdict == "still":
        yield Move("not absent: held again", s._replace(decision=False))
    elif verdict == "absent" and s.decision:
        ended = s._replace(effect="settled", end="absent", task="done")
        yield Move("a person's absent is confirmed", ended)


def _may_take_it_back(s: State, c: Config, protection: str) -> bool:
    """Rule 12: an absolute request without an answer may still land."""
    return c.effect == "absolute" and c.on(protection) and can_land(s, c)


def poll(s: State, c: Config) -> Moves:
    """Ask about the job that is bound; "not found" is not "failed"."""
    if s.effect != "bound":
        return
    there = s.handle == "foreign" or s.made
    ended = s._replace(effect="settled", task="done")
    if there and not _may_take_it_back(s, c, "rule 12"):
        yield Move("settle: it ended well", ended._replace(end="ok"))
    if there and not _may_take_it_back(s, c, "rule 12, failed"):
        yield Move("settle: it failed", ended._replace(end="failed"))
    if not there or c.forgets:
        lost = s._replace(effect="in_doubt", doubted=True)
        yield Move("the job is unknown: in doubt", lost)
    held = s._replace(effect="held", task="held", doubted=True)
    yield Move("held: it cannot be asked", held)


def hold(s: State, c: Config) -> Moves:
    """Doubt has lasted too long, or asking fails again and again."""
    if s.effect == "in_doubt" and not s.resend and s.task == "waiting":
        yield Move("held: doubt has lasted", s._replace(effect="held", task="held"))
