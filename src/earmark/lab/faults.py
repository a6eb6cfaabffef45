"""The faults: every way in which the lab can misbehave.

A fault is a function that stands in front of the handler. ``go`` hands the request
on; a fault may do something before or after that, or not call it at all. To add
one, write the function and enter it in ``FAULTS``.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

from earmark.lab import tasks
from earmark.lab.call import Call, Ending
from earmark.lab.model import Refused, error_reply
from earmark.lab.rules import Rule

DEFAULT_SECONDS = 1.0
"""How long a fault lasts when its rule does not say; a hang lasts for good."""

Go = Callable[[], Awaitable[Ending]]


@dataclass(frozen=True)
class Fault:
    """One entry of the table.

    A fault that ``combines`` only bends or delays the handling, so it can meet the
    same request as others; of the rest each request meets one at most.
    """

    apply: Callable[[Call, Rule, Go], Awaitable[Ending]]
    combines: bool = False


def _seconds(rule: Rule) -> float:
    return DEFAULT_SECONDS if rule.seconds is None else rule.seconds


async def slow(call: Call, rule: Rule, go: Go) -> Ending:
    """Wait first; a client that has left by then does not stop the work."""
    await asyncio.sleep(_seconds(rule))
    return await go()


async def lose_reply(call: Call, rule: Rule, go: Go) -> Ending:
    """Do the work, then cut the connection instead of answering."""
    await go()
    return Ending("lost", None)


async def commit_then_500(call: Call, rule: Rule, go: Go) -> Ending:
    """Do the work, then claim an internal error."""
    await go()
    return Ending("error500", error_reply(500, "internal", "simulated: error"))


async def hang(call: Call, rule: Rule, go: Go) -> Ending:
    """Do nothing and say nothing until the client leaves or the time is up."""
    call.note("hung")
    await call.client_gone(rule.seconds)
    return Ending("hung", None)


async def hang_after_commit(call: Call, rule: Rule, go: Go) -> Ending:
    """Do the work, then say nothing until the client leaves or the time is up."""
    await go()
    return await hang(call, rule, go)


async def late_landing(call: Call, rule: Rule, go: Go) -> Ending:
    """Answer 504 at once; the request arrives later all the same."""
    if call.operation.verb is not None:
        tasks.put_off(call.site, call.command(), call.shape, _seconds(rule))
    return Ending("late", error_reply(504, "timeout", "simulated: gateway timeout"))


async def error_500(call: Call, rule: Rule, go: Go) -> Ending:
    """Do nothing and report an internal error."""
    return Ending("error500", error_reply(500, "internal", "simulated: error"))


async def throttle(call: Call, rule: Rule, go: Go) -> Ending:
    """Do nothing and ask the client to come again later."""
    later = {"Retry-After": str(max(1, math.ceil(_seconds(rule))))}
    reply = error_reply(429, "throttled", "simulated: too many requests", later)
    return Ending("throttled", reply)


async def refuse(call: Call, rule: Rule, go: Go) -> Ending:
    """Do nothing and say so, definitely."""
    return Ending("refused", error_reply(409, "refused", "simulated: refused"))


async def list_lag(call: Call, rule: Rule, go: Go) -> Ending:
    """Leave out of lists what was created within the rule's seconds."""
    call.shape = replace(call.shape, lag_seconds=_seconds(rule))
    return await go()


async def forget_task(call: Call, rule: Rule, go: Go) -> Ending:
    """Accept, and never show the task again; its effect goes on."""
    call.shape = replace(call.shape, forget_task=True)
    return await go()


async def ignore_tokens(call: Call, rule: Rule, go: Go) -> Ending:
    """Do the work again for a token that is known; record the token all the same."""
    call.shape = replace(call.shape, ignore_token=True)
    return await go()


async def fail_task(call: Call, rule: Rule, go: Go) -> Ending:
    """Accept, and let the job fail half-way: a copy leaves half an image."""
    call.shape = replace(call.shape, fail_half_way=True)
    return await go()


FAULTS: Mapping[str, Fault] = {
    "slow": Fault(slow, combines=True),
    "lose-reply": Fault(lose_reply),
    "commit-then-500": Fault(commit_then_500),
    "hang": Fault(hang),
    "hang-after-commit": Fault(hang_after_commit),
    "late-landing": Fault(late_landing),
    "error-500": Fault(error_500),
    "throttle": Fault(throttle),
    "refuse": Fault(refuse),
    "list-lag": Fault(list_lag, combines=True),
    "forget-task": Fault(forget_task, combines=True),
    "ignore-tokens": Fault(ignore_tokens, combines=True),
    "fail-task": Fault(fail_task, combines=True),
}

COMBINING = frozenset(name for name, fault in FAULTS.items() if fault.combines)


async def run(call: Call, met: list[Rule]) -> Ending:
    """Hand a call through the faults it meets, in order, to its handler.

    The site's refusal is an answer like any other, which a fault may lose or change.
    """
    try:
        if not met:
            return await call.handle()
        first, *rest = met
        return await FAULTS[first.fault].apply(call, first, lambda: run(call, rest))
    except Refused as refusal:
        reply = error_reply(refusal.status, refusal.code, refusal.message)
        return Ending("answered", reply)
