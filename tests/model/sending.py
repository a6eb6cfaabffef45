"""The model's workers: they claim, send, die, and are recovered (claim.py, send.py,
answer.py, recover.py)."""

from collections.abc import Iterator

from tests.model.checker import Move
from tests.model.state import (
    IDLE,
    Config,
    Send,
    State,
    Worker,
    put,
    swap,
    taken,
)

Moves = Iterator[Move[State]]


def claim(s: State, c: Config) -> Moves:
    """A worker takes the queued task, for a new attempt."""
    if s.task == "queued" and IDLE in s.workers:
        workers = swap(s.workers, s.workers.index(IDLE), Worker("claimed", True))
        yield Move("claim", s._replace(task="running", workers=workers))


def drop(s: State, c: Config) -> State:
    """`wake.drop`: what was never sent ends; what a person had sent again is as much
    in doubt as it was before."""
    if s.restored and not s.asked and c.on("asked before dropped"):
        return unknown(s, c)
    s = s._replace(workers=taken(s.workers, c))
    if s.doubted:
        return s._replace(effect="in_doubt", task="waiting")
    return s._replace(effect="dropped", task="done")


def before_the_intent(s: State, c: Config) -> Moves:
    """From the claim to the committed intent, or to where it turns out not to send."""
    for at, w in enumerate(s.workers):
        if w.phase not in ("claimed", "noted"):
            continue
        if not w.mine:  # only without the fence of attempts
            if s.effect == "planned" or s.resend:
                yield Move("commit the intent", _intended(s, at, c))
            continue
        if s.effect == "planned":
            yield from _first(s, at, w, c)
        elif s.effect == "in_doubt" and s.resend:
            yield from _again(s, at, c)


def _first(s: State, at: int, w: Worker, c: Config) -> Moves:
    if s.stop and c.on("stop"):
        yield Move("stopped before it was sent", drop(s, c))
        return
    if s.restored and not s.asked and c.on("asked before sent"):
        yield Move("put back: in doubt before it is sent", unknown(s, c))
        return
    if not s.sent_before:
        yield Move("nothing to do", drop(s, c))
        if c.effect == "tasks" and w.phase == "claimed":
            there = "foreign" if s.foreign == "listed" else "empty"
            noted = there if c.on("absence") else "empty"
            workers = swap(s.workers, at, w._replace(phase="noted"))
            yield Move("note what is there", s._replace(noted=noted, workers=workers))
            return
    again = s._replace(task="queued", workers=taken(s.workers, c))
    yield Move("it cannot be prepared: tried later", again)
    yield Move("it cannot be prepared: dropped", drop(s, c))
    if len(s.sends) < c.most_sends:
        yield Move("commit the intent", _intended(s, at, c))


def _again(s: State, at: int, c: Config) -> Moves:
    workers = taken(s.workers, c)
    held = s._replace(effect="held", task="held", resend=False, workers=workers)
    yield Move("held: it cannot be prepared", held)
    if (s.stop and c.on("stop")) or (s.token != "fresh" and c.on("token life")):
        back = s._replace(resend=False, task="waiting", workers=workers)
        yield Move("not sent again after all", back)
    elif len(s.sends) < c.most_sends:
        yield Move("commit the intent again", _intended(s, at, c))


def _intended(s: State, at: int, c: Config) -> State:
    durable = c.on("intent")
    slot = len(s.sends)
    s = s._replace(
        sends=(*s.sends, Send(row=durable)),
        workers=swap(
            s.workers,
            at,
            Worker("intended", s.workers[at].mine, slot, s.doubted),
        ),
    )
    if not durable:
        return s
    return s._replace(effect="sending", nonce=slot, resend=False, sent_before=True)


def unknown(s: State, c: Config) -> State:
    """`restored.doubt_restored`: as if somebody unknown had sent it."""
    return s._replace(
        effect="in_doubt",
        task="waiting",
        nonce=len(s.sends),
        sends=(*s.sends, Send(over=True, wire="gone")),
        workers=taken(s.workers, c),
        asked=True,
        sent_before=True,
        doubted=True,
    )


def on_the_way(s: State, c: Config) -> Moves:
    """From the intent to the answer that is written down."""
    for at, w in enumerate(s.workers):
        if w.phase == "intended":
            workers = swap(s.workers, at, w._replace(phase="checked"))
            yield Move("the deadline is checked", s._replace(workers=workers))
        elif w.phase == "checked":
            yield Move(
                "bytes leave",
                s._replace(
                    sends=put(s.sends, w.send, wire="flying"),
                    workers=swap(s.workers, at, w._replace(phase="waiting")),
                ),
            )
        if w.phase in ("intended", "overdue", "checked"):
            yield from _not_sent(s, at, w, c, "nothing left")
            yield Move("the call fails", _doubt(s, at, w, c))
        elif w.phase == "waiting":
            yield from _answer(s, at, w, c)


def _answer(s: State, at: int, w: Worker, c: Config) -> Moves:
    wire = s.sends[w.send].wire
    if wire == "landed":
        yield Move("bind", _bind(s, at, w, c))
    elif wire == "refused":
        yield Move("refuse", _refuse(s, at, w, c))
    elif wire == "busy":
        yield from _not_sent(s, at, w, c, "busy")
    yield Move("the call ends without an answer", _doubt(s, at, w, c))


def in_time(s: State, w: Worker, c: Config) -> bool:
    """`placeholders.move_sent`: is this still the send that counts?"""
    return s.effect == "sending" and (s.nonce == w.send or not c.on("nonce"))


def _bind(s: State, at: int, w: Worker, c: Config) -> State:
    sends = put(s.sends, w.send, over=True, answered=True)
    ended = s._replace(sends=sends, workers=swap(s.workers, at))
    if not in_time(s, w, c):
        return _late(s, at, w, answered=True)._replace(heard=True)
    return ended._replace(
        effect="bound",
        handle="ours",
        doubted=False,
        task="waiting",
        workers=taken(ended.workers, c),
    )


def _refuse(s: State, at: int, w: Worker, c: Config) -> State:
    if s.sends[w.send].row:
        s = s._replace(sends=put(s.sends, w.send, refused=True))
    if not in_time(s, w, c):
        return _late(s, at, w, answered=True)
    sends = put(s.sends, w.send, over=True, answered=True)
    if w.doubted and c.on("refusal"):
        return _in_doubt(s._replace(sends=sends), at, c)
    workers = taken(swap(s.workers, at), c)
    return s._replace(effect="refused", task="done", sends=sends, workers=workers)


def _not_sent(s: State, at: int, w: Worker, c: Config, why: str) -> Moves:
    if not in_time(s, w, c):
        yield Move(f"{why}, said late", _late(s, at, w, answered=False))
        return
    void = s._replace(sends=put(s.sends, w.send, row=False))
    if w.doubted:
        yield Move(f"{why}: in doubt as before", _in_doubt(void, at, c))
        return
    sent = any(send.row for send in void.sends)
    planned = void._replace(
        effect="planned", sent_before=sent, workers=taken(swap(s.workers, at), c)
    )
    if not s.stop and len(s.sends) < c.most_sends:
        yield Move(f"{why}: planned again", planned._replace(task="queued"))
    yield Move(f"{why}: dropped", planned._replace(effect="dropped", task="done"))


def _doubt(s: State, at: int, w: Worker, c: Config) -> State:
    if not in_time(s, w, c):
        return _late(s, at, w, answered=False)
    over = s._replace(sends=put(s.sends, w.send, over=s.sends[w.send].row))
    return _in_doubt(over, at, c)


def _in_doubt(s: State, at: int, c: Config) -> State:
    return s._replace(
        effect="in_doubt",
        doubted=True,
        task="waiting",
        workers=taken(swap(s.workers, at), c),
    )


def _late(s: State, at: int, w: Worker, *, answered: bool) -> State:
    send = s.sends[w.send]
    if send.row:
        answered = answered or send.answered
        sends = put(s.sends, w.send, over=True, answered=answered)
        s = s._replace(sends=sends)
    return s._replace(workers=swap(s.workers, at))


def die(s: State, c: Config) -> Moves:
    """A worker's process ends, at any point; and that is proved, some time later."""
    for at, w in enumerate(s.workers):
        if w.phase == "dead":
            sends = s.sends
            if w.send >= 0 and sends[w.send].row:
                sends = put(sends, w.send, over=True)
            left = w._replace(phase="gone", send=-1) if w.mine else IDLE
            workers = swap(s.workers, at, left)
            yield Move("death is proved", s._replace(sends=sends, workers=workers))
        elif w.phase not in ("idle", "gone"):
            if s.crashes < c.crashes:
                dead = swap(s.workers, at, Worker("dead", w.mine, w.send))
                yield Move("crash", s._replace(workers=dead, crashes=s.crashes + 1))
            if not c.on("death") and w.send >= 0 and not s.sends[w.send].over:
                sends = put(s.sends, w.send, over=True)
                yield Move("silence is taken for death", s._replace(sends=sends))


def recover(s: State, c: Config) -> Moves:
    """Its task is taken from a worker that is gone, silent, or past its deadline."""
    if not any(w.mine for w in s.workers) or s.task != "running":
        return
    free = s._replace(workers=taken(s.workers, c))
    if s.effect == "sending":
        doubt = free._replace(effect="in_doubt", doubted=True, task="waiting")
        yield Move("recover: in doubt", doubt)
        return
    yield Move("recover: queued again", free._replace(task="queued"))
    if s.effect == "planned":
        yield Move("recover: cut off, dropped", drop(s, c))
