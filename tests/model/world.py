"""What is no program of ours: the provider and the net, time, and people (resolve.py
and cancel.py say what their wishes become)."""

from collections.abc import Container

from tests.model.checker import Move
from tests.model.sending import Moves, drop
from tests.model.state import Config, Send, State, Worker, put, taken


def net(s: State, c: Config) -> Moves:
    """A request in flight lands, is refused, or is lost; an answer is lost when the
    call that waits for it ends without one."""
    for at, send in enumerate(s.sends):
        if send.wire != "flying":
            continue
        yield Move("a request lands", _landed(s, at, c))
        gone = s._replace(sends=put(s.sends, at, wire="gone"))
        yield Move("a request is lost", gone)
        hears = any(w.send == at and w.phase == "waiting" for w in s.workers)
        if c.says_no and hears:
            for wire in ("refused", "busy"):
                no = s._replace(sends=put(s.sends, at, wire=wire))
                yield Move(f"a request is {wire}", no)


def _landed(s: State, at: int, c: Config) -> State:
    made, wire = s.made + 1, "landed"
    if c.effect == "absolute":
        made = 1
    elif s.made and c.effect == "identity":
        made, wire = s.made, "refused"  # there is one of that name
    elif s.made and c.effect == "token" and s.token != "forgotten":
        made = s.made
    listed = s.listed if c.lag else made
    return s._replace(
        made=min(made, 2),
        listed=min(listed, 2),
        sends=put(s.sends, at, wire=wire),
    )


def lists(s: State, c: Config) -> Moves:
    """What is there is shown at last."""
    if s.listed < s.made:
        yield Move("it is listed", s._replace(listed=s.listed + 1))
    if s.foreign == "hidden":
        yield Move("it is listed", s._replace(foreign="listed"))
    if c.effect == "absolute" and c.foreign and not s.made:
        yield Move("somebody else brings it about", s._replace(made=1, listed=1))


def time(s: State, c: Config) -> Moves:
    """Horizons, the provider's lag, and a token's life pass."""
    if c.effect == "token" and s.sent_before:
        if s.token == "fresh":
            yield Move("the token is old", s._replace(token="stale"))
        elif s.token == "stale" and not (c.on("token margin") and _leaving(s)):
            workers = _overdue(s, c, range(len(s.sends)))
            forgotten = s._replace(token="forgotten", workers=workers)
            yield Move("the provider forgets the token", forgotten)
    for at, send in enumerate(s.sends):
        if not send.over or send.answered or not send.row:
            continue
        if send.calm == 0 and send.wire != "flying" and not _unlisted(s):
            calm = s._replace(sends=put(s.sends, at, calm=1))
            if s.restored:
                unlisted = [n for n, one in enumerate(s.sends) if not one.row]
                calm = calm._replace(workers=_overdue(s, c, unlisted))
            yield Move("the horizon passes", calm)
        elif send.calm == 1 and c.lag and s.listed == s.made:
            listed = s._replace(sends=put(s.sends, at, calm=2))
            yield Move("and the lag with it", listed)


def _overdue(s: State, c: Config, sends: Container[int]) -> tuple[Worker, ...]:
    """The workers when so much time has gone by that the deadline of these sends has
    passed for sure: who has not let anything out will not."""
    if not c.on("deadline"):
        return s.workers
    return tuple(
        w._replace(phase="overdue") if w.phase == "intended" and w.send in sends else w
        for w in s.workers
    )


def _leaving(s: State) -> bool:
    """A request is between its sender's last check and the provider."""
    flying = any(send.wire == "flying" for send in s.sends)
    return flying or any(w.phase == "checked" for w in s.workers)


def _unlisted(s: State) -> bool:
    """The same of a request that the store, put back, knows nothing of: its horizon is
    that of the send which stands for it."""
    if not s.restored:
        return False
    flying = any(send.wire == "flying" and not send.row for send in s.sends)
    return flying or any(
        w.phase == "checked" and not s.sends[w.send].row for w in s.workers
    )


def cancel(s: State, c: Config) -> Moves:
    """Somebody no longer wants it."""
    if not c.cancel or s.stop or s.task == "done":
        return
    stopped = s._replace(stop=True)
    if s.effect == "planned" and s.task in ("queued", "waiting"):
        stopped = drop(stopped, c)
    yield Move("cancel", stopped)


def decide(s: State, c: Config) -> Moves:
    """A person decides about what is held."""
    if s.effect != "held" or s.decision or not c.person:
        return
    bound = s._replace(effect="bound", task="waiting", doubted=False)
    if s.made:
        yield Move("a person adopts", bound._replace(handle="ours"))
    if s.foreign == "listed":
        strange = bound._replace(handle="foreign", adopted=True)
        yield Move("a person adopts what is not ours", strange)
    yield Move("a person says absent", s._replace(decision=True))
    watched = s._replace(effect="watched", task="done")
    yield Move("a person stops waiting", watched)
    if not s.stop and len(s.sends) < c.most_sends:
        yield Move(
            "a person sends again",
            s._replace(
                effect="planned", doubted=True, task="queued", again=True, asked=True
            ),
        )


#: What a copy of the store has: the rest is the world's, or in a process's memory.
STORED = (
    "effect", "task", "end", "resend", "sent_before", "doubted", "handle", "noted",
    "stop", "decision", "heard", "nonce",
)  # fmt: skip


def put_back(s: State, c: Config) -> Moves:
    """A copy of the store is taken; later the store is put back to it."""
    if not c.put_back or s.restored:
        return
    if s.copy is None:
        if s.task in ("queued", "waiting", "held"):
            kept = s._replace(
                workers=(), look="", made=0, listed=0, foreign="", token="", crashes=0
            )
            yield Move("a copy of the store is taken", s._replace(copy=kept))
        return
    if s.task == "done" and s.copy.task == "done":
        return
    was = {name: getattr(s.copy, name) for name in STORED}
    sends = tuple(
        send._replace(
            row=known is not None and known.row,
            over=known is not None and known.over,
            answered=known is not None and known.answered,
            calm=send.calm if known is not None and known.over else 0,
        )
        for send, known in zip(s.sends, _padded(s), strict=True)
    )
    back = s._replace(
        **was,
        sends=sends,
        workers=taken(s.workers, c),
        look="",
        restored=True,
        copy=None,
    )
    yield Move("the store is put back", back)


def _padded(s: State) -> list[Send | None]:
    assert s.copy is not None
    known: list[Send | None] = list(s.copy.sends)
    return known + [None] * (len(s.sends) - len(known))
