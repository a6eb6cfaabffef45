"""How jobs stand: the one that was asked about, and when patience ends."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from earmark.domain.authoring import Ctx
from earmark.domain.errors import JobUnknown
from earmark.domain.outcome import Failed, Job, Progress, Running

#: How long after the request a state may take; then it has diverged (rule 12).
PATIENCE = timedelta(minutes=10)


def one(seen: Mapping[str, Progress], job: str) -> Progress:
    """How that job stands; raises `JobUnknown` when the provider did not say."""
    if job not in seen:
        raise JobUnknown(f"The provider does not know job {job}.")
    return seen[job]


def one_in_time(ctx: Ctx, seen: Mapping[str, Progress], job: str) -> Progress:
    """The same for a job that brings a state about: it may take only so long."""
    assert ctx.sent_at is not None, "polled only after it was sent"
    jobs = {ctx.token: Job(job, ctx.sent_at)}
    return in_time({job: one(seen, job)}, jobs, ctx.now())[ctx.token]


def in_time(
    seen: Mapping[str, Progress], jobs: Mapping[str, Job], now: datetime
) -> dict[str, Progress]:
    """Token → how its job stands; one that runs past `PATIENCE` has diverged."""
    stands = {token: seen[job.id] for token, job in jobs.items() if job.id in seen}
    for token, stand in stands.items():
        if isinstance(stand, Running) and now - jobs[token].sent_at > PATIENCE:
            waited = int(PATIENCE.total_seconds() // 60)
            stands[token] = Failed(
                f"It is not so {waited} minutes after the provider accepted the "
                f"request: {stand.message or 'still under way'}.",
                code="diverged",
            )
    return stands
