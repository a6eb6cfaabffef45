"""The oracle: each deed does one thing to the engine and to the model of it; after each
all that can be observed is the same."""

from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from earmark.domain.errors import EarmarkError, KeyReused, Rejected
from earmark.engine import cancel, enqueue, forget, recover, resolve, retry
from earmark.engine.expire import expire
from tests.oracle import commands, doubts, lost, people, undoing, workers
from tests.oracle.bench import Bench
from tests.oracle.deeds import (
    ANY_SCRIPT,
    ASKS,
    SOME_SCRIPTS,
    Ask,
    Deed,
    among,
    deed,
    deeds,
)
from tests.oracle.site import ENDS, LANDS, SCRIPTS
from tests.oracle.things import Task

WHO = "person"
_MEANWHILE = ("silence, work", "silence, cancel", "silence", "cancel", "nothing")
_OUTCOMES = ("ok", "failed", "cancelled", "expired", "interrupted")
_DECISIONS = ("adopt", "absent", "send-again", "watch", *undoing.DECISIONS)

#: What a run must have seen: each of these did something, at least once.
MUST_SUCCEED = (
    *(f"enqueue {kind}" for kind in commands.KINDS),
    *(f"used key: {answer}" for answer in ("its task", "reused", "deleted")),
    *("hire", "claim", "claimed by zone", "claimed by role", "claimed by version"),
    *(f"perform: {script}" for script in SCRIPTS),
    *(f"stop at {instant}" for instant in workers.INSTANTS),
    *("hold up a worker", "wake in time", "wake late", "kill a worker"),
    *("perform what is another's", "came too late to plan", "came too late to send"),
    *("a late answer named a handle", "a late answer named none"),
    *("worker gone", "worker silent", "a call hangs", "recovered"),
    *("failed on restart", "expire", "not started in time", "ran too long"),
    *("free a key", "time goes by", "poll and probe", "poll in vain"),
    *(f"kill a poller at {instant}" for instant in doubts.INSTANTS),
    *(f"a job is {how}" for how in ENDS),
    *("a request lands late", "bound", "in doubt", "lost", "found", "held"),
    *(f"judged: {verdict}" for verdict in ("wait", "send", "plan", "refuse", "hold")),
    *("reached, and may be undone", "asked to stop", "too late", "left behind"),
    *("cancel", "cancel refused", "stopped before it was sent", "dropped unsent"),
    *("retry", "retry refused", "will try again", "promised anew"),
    *(f"resolve: {decision}" for decision in _DECISIONS),
    *("resolve refused", "absent, as a person said"),
    *("forget", "forget refused", "prune", "prune, dry"),
    *("planned children", "finished a plan", "acted", "could not be prepared"),
    *("refused a lock", "queued for locks", "woken for locks"),
    *("a plan could not be finished", "began to undo", "took back several at once"),
    *("taken back half-way", "nothing of it was left", "undo over", "taken back later"),
    *("undo tried again", "undo could not be planned", "undo refused a lock"),
    "undo waited for its provider",
    *("undo is held", "a step of it is held"),
    *(f"verdict {outcome}" for outcome in ("failed", "cancelled", "interrupted")),
    *(f"ended {outcome}" for outcome in _OUTCOMES),
)


class Oracle(Bench):
    """Everything that may happen."""

    @initialize(asks=st.lists(ASKS, min_size=1, max_size=4), scripts=SOME_SCRIPTS)
    def begin(self, asks: list[Ask], scripts: list[str]) -> None:
        """So that there is something to go wrong."""
        for ask in asks:
            self.ask_for(ask)
        self.work_on("w-1", scripts)
        self.take("w-1", 1)

    @rule(deed=deeds())
    def do(self, deed: Deed) -> None:
        getattr(self, deed.name)(**deed.arguments)

    # Workers.

    @deed(when="room", zone=st.sampled_from(("default", "default", "east")),
          roles=st.sampled_from((("*",), ("special",), ("operations",))),
          old=st.booleans())  # fmt: skip
    def hire(self, zone: str, roles: tuple[str, ...], old: bool) -> None:
        self.take_on(zone, roles, old)
        self.note("hire", True)

    @deed(2, "staff", worker=among("staff"), limit=st.integers(1, 4))
    def claim(self, worker: str, limit: int) -> None:
        self.take(worker, limit)

    @deed(5, "ready", worker=among("ready"), scripts=SOME_SCRIPTS)
    def work(self, worker: str, scripts: list[str]) -> None:
        self.work_on(worker, scripts)

    @deed(4, "ready")
    def all_goes_on(self) -> None:
        self.go_on()

    @deed(3, "ready", worker=among("ready"))
    def answers_are_lost(self, worker: str) -> None:
        """What is sent lands, and that is found out at once."""
        self.work_on(worker, ["lost, landed"] * 4)
        self.go_on()

    @deed(4, "in_hand", claim=among("in_hand"), script=ANY_SCRIPT)
    def perform(self, claim: str, script: str) -> None:
        self.carry_out(claim, script)

    @deed(4, "ready", worker=among("ready"), at=st.sampled_from(workers.INSTANTS),
          script=ANY_SCRIPT)  # fmt: skip
    def hold_up(self, worker: str, at: str, script: str) -> None:
        """Its thread stops there, as by SIGSTOP, or in a call that hangs."""
        self.note("hold up a worker", self.stop_at(worker, at, script))

    @deed(3, "sleepers", claim=among("sleepers"))
    def wake(self, claim: str) -> None:
        """It goes on, however late."""
        self.wake_up(claim)

    @deed(5, "ready", worker=among("ready"), at=st.sampled_from(workers.INSTANTS),
          script=ANY_SCRIPT, meanwhile=st.sampled_from(_MEANWHILE))  # fmt: skip
    def overtake(self, worker: str, at: str, script: str, meanwhile: str) -> None:
        """A worker is held up, and goes on only after something has happened."""
        claim = self.stop_at(worker, at, script)
        if claim is None:
            return
        if "silence" in meanwhile:
            recover.worker_silent(self.engine, worker, "it does not beat")
            lost.worker_silent(self.model, worker)
        root = claim.partition(" ")[0].partition("/")[0]
        if "cancel" in meanwhile and root in self.model.roots:
            self.cancel(root)
        if "work" in meanwhile:
            self.go_on()
        self.wake_up(claim)
        self.note("overtake", True)

    @deed(4, "ready", worker=among("ready"), at=st.sampled_from(workers.INSTANTS),
          script=ANY_SCRIPT, late=st.booleans())  # fmt: skip
    def kill(self, worker: str, at: str, script: str, late: bool) -> None:
        """The worker's process dies there; what it was just sending may land late."""
        claim = self.stop_at(worker, at, script)
        attempt = self.asleep[claim].claim.attempt if claim else None
        if attempt and attempt.asking and late and script in LANDS:
            for site in (self.model.site, self.house.site):
                site.on_way[attempt.asking.id] = attempt.asking.effect
        self.bury(worker)
        self.requests_leave()
        self.note("kill a worker", claim)

    @deed(3, "busy", worker=among("busy"), proved=st.booleans())
    def lose(self, worker: str, proved: bool) -> None:
        """It does not beat any more, and may go on later; or its death is proved."""
        if proved:
            self.bury(worker)
            self.note("worker gone", True)
            return
        count = recover.worker_silent(self.engine, worker, "it does not beat")
        assert count == lost.worker_silent(self.model, worker)
        self.note("worker silent", count)

    @deed(3, seconds=st.sampled_from((0, 40, 120)))
    def tidy(self, seconds: int) -> None:
        """What comes round by the clock: deadlines, calls that hang, old keys."""
        self.pass_time(seconds)
        hung = recover.overdue(self.engine)
        assert hung == lost.overdue(self.model)
        late = expire(self.engine)
        assert late == people.expire(self.model)
        self.engine.write(enqueue.forget_old_keys)
        old = people.forget_old_keys(self.model)
        for what, did in ("a call hangs", hung), ("expire", late), ("free a key", old):
            self.note(what, did)

    @deed(3, seconds=st.sampled_from((1, 6, 15, 15, 40, 40, 120, 1100, 90000)))
    def advance(self, seconds: int) -> None:
        self.pass_time(seconds)
        self.note("time goes by", True)

    # Providers.

    @deed(5, "under_way", answers=st.sampled_from((True, True, True, True, False)))
    def poll(self, answers: bool) -> None:
        """Ask both providers, due or not; perhaps nobody answers."""
        self.model.site.down = self.house.site.down = not answers
        count = self.look()
        self.model.site.down = self.house.site.down = False
        if not answers:
            self.note("poll in vain", count)

    @deed(2, "under_way", at=st.sampled_from(doubts.INSTANTS))
    def kill_poller(self, at: str) -> None:
        order = [effect.id for _, effect in self.model.effects()]
        sleeper = self.house.asleep(at, lambda: self.house.check("p-1", order))
        doubts.check(self.model, "p-1", at)
        if sleeper.asleep:
            sleeper.die()
        self.note(f"kill a poller at {at}", sleeper.asleep)

    @deed(3, "stoppable", root=among("stoppable"))
    def cancel_and_kill_poller(self, root: str) -> None:
        """When the provider was asked to stop a job, and that is not noted yet."""
        self.cancel(root)
        self.kill_poller("cancel.asked")

    @deed(5, "running_jobs", job=among("running_jobs"), how=st.sampled_from(ENDS))
    def job_ends(self, job: str, how: str) -> None:
        self.end_job(job, how)

    @deed(3, "on_way", effect=among("on_way"))
    def arrives(self, effect: str) -> None:
        token = self.token(effect)
        for site in (self.model.site, self.house.site):
            site.arrive(token)
        del self.lands_until[token]
        self.note("a request lands late", True)

    # People.

    @deed(4, ask=ASKS)
    def enqueue(self, ask: Ask) -> None:
        self.ask_for(ask)

    @deed(2, "used_keys", key=among("used_keys"), same=st.booleans())
    def enqueue_again(self, key: str, same: bool) -> None:
        """With a key that was used before."""
        command: Any = self.model.keys[key][0]
        if not same:
            command = command.model_copy(update={"what": "another thing"})
        expected = people.asked_before(self.model, command, key)
        try:
            found = self.ask(command, people.NORMAL, key).id
        except KeyReused:
            found = "reused"
        except Rejected as error:
            found = error.code
        root = self.model.roots.get(str(expected))
        assert found == (root.id if root else expected), (found, expected)
        self.note(f"used key: {'its task' if root else expected}", True)

    @deed(2, "roots", root=among("roots"))
    def cancel(self, root: str) -> None:
        task = self.model.task(root)
        try:
            cancel.cancel(self.engine, task.id, WHO)
            refused = False
        except Rejected:
            refused = True
        did = people.cancel(self.model, task)
        assert refused == (did is None)
        self.note("cancel refused" if refused else "cancel", refused or did)

    @deed(2, "ended", root=among("ended"))
    def retry(self, root: str) -> None:
        task = self.model.task(root)
        may = people.may_retry(self.model, task)
        try:
            again = retry.retry(self.engine, task.id, WHO).id
        except Rejected:
            again = None
        assert bool(again) == may
        if again:
            people.enqueue(self.model, task.command, again, retry_of=task)
        self.note("retry" if may else "retry refused", True)

    @deed(7, "held", task=among("held"), decision=st.sampled_from(_DECISIONS),
          which=st.sampled_from(("its own", "another's", "unknown")))  # fmt: skip
    def resolve(self, task: str, decision: str, which: str) -> None:
        found = self.model.task(task)
        handle = self._to_adopt(found, which) if decision == "adopt" else None
        effect = found.effect
        if decision == "send-again" and effect and effect.open_sends:
            return  # two open sends are told as a broken rule, whoever wanted them
        verdict = resolve.Decision(decision)
        try:
            resolve.resolve(self.engine, found.id, verdict, WHO, external_id=handle)
            did = True
        except Rejected:
            did = False
        assert did == people.resolve(self.model, found, decision, handle or "")
        self.note(f"resolve: {decision}" if did else "resolve refused", True)

    def _to_adopt(self, task: Task, which: str) -> str:
        effect = task.effect
        made = self.model.site.made.get(effect.id, []) if effect else []
        if which == "its own" and made:
            return made[0]
        others = [it.handle for _, it in self.model.all_effects() if it is not effect]
        known = [handle for handle in others if handle]
        return known[0] if which == "another's" and known else f"no-such-{task.id}"

    @deed(2, "ended", root=among("roots"))
    def forget(self, root: str) -> None:
        task = self.model.task(root)
        try:
            forget.forget(self.engine, task.id, WHO)
            refused = ""
        except EarmarkError as error:
            refused = error.code
        did = people.forget(self.model, [task])
        assert refused == ("" if did else "kept"), refused
        self.note("forget" if did else "forget refused", True)

    @deed(2, "ended", age=st.sampled_from((0, 60, 4000)), dry_run=st.booleans())
    def prune(self, age: int, dry_run: bool) -> None:
        older = timedelta(seconds=age)
        pruned = forget.prune(self.engine, older, WHO, dry_run=dry_run)
        old = people.ended_before(self.model, self.model.now - age)
        if dry_run:
            count = len(old) - len(people.kept(self.model, old))
        else:
            count = people.forget(self.model, old)
        assert pruned.forgotten == count
        assert sum(pruned.kept.values()) == len(old) - count
        self.note("prune, dry" if dry_run else "prune", count)
