"""What sweeps have found: things with our mark that nothing explains, and when each
provider was swept."""

import sqlalchemy as sa

from earmark.store.columns import (
    Id,
    Name,
    Word,
    column,
    instant,
    json,
    key,
    maybe_instant,
    metadata,
    partial_index,
)

orphans = sa.Table(
    "earmark_orphans",
    metadata,
    key("UUIDv7."),
    column("provider_id", Id, "Where it is.", to="earmark_providers.id"),
    column("kind", Name, "The connector's word for what it is."),
    column("external_id", sa.Text, "The provider's id of it."),
    column("name", sa.Text, "Its name there."),
    column("token", sa.Text, "The second half of its mark: whose effect it is."),
    column("state", Word, "open, adopted, destroyed or gone."),
    column("story", sa.Text, "What is likely to have happened, for people."),
    column("task_id", Id, "The task whose request made it, if known.", nullable=True),
    maybe_instant("created_at", "When it was made, by the provider's clock."),
    instant("first_seen_at", "When the listing that showed it first began."),
    instant("last_seen_at", "When the last listing that showed it began."),
    column("decided_by", Name, "Who adopted or destroyed it.", nullable=True),
    column("why", sa.Text, "What that person said about it.", nullable=True),
    maybe_instant("decided_at", "When it was adopted, destroyed or missed."),
    sa.UniqueConstraint("provider_id", "kind", "external_id"),
    partial_index("ix_earmark_orphans_open", "provider_id", where="state = 'open'"),
    partial_index("ix_earmark_orphans_token", "token", where="state = 'open'"),
    comment="What is at providers with our mark, explained by nothing (rule 17).",
)

sweeps = sa.Table(
    "earmark_sweeps",
    metadata,
    column(
        "provider_id",
        Id,
        "Which provider.",
        to="earmark_providers.id",
        primary_key=True,
    ),
    maybe_instant("due_at", "When the scheduler asks for the next sweep."),
    maybe_instant("began_at", "When the listing of the newest sweep began."),
    column("state", Word, "never, ok, error or unsupported."),
    column("message", sa.Text, "The words that came with it."),
    column("seen", sa.Integer, "How much carries our mark."),
    column("others", sa.Integer, "How much carries another installation's."),
    column("young", sa.Integer, "How much is too new to be judged."),
    column("pruned", sa.Integer, "How much is older than our history."),
    column("missing_count", sa.Integer, "How much that we made is not shown."),
    json("missing", "The first of those, in full."),
    comment="The newest sweep of each provider.",
)
