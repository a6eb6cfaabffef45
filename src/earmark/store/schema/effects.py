"""What was promised at providers: every effect, every send, everything seen."""

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

placeholders = sa.Table(
    "earmark_placeholders",
    metadata,
    key("UUIDv7: the token that is sent to the provider."),
    column(
        "task_id", Id, "The task that promised it.", to="earmark_tasks.id", index=True
    ),
    column("root_id", Id, "Its root."),
    column("provider_id", Id, "Where the effect will be."),
    column("operation", Name, "The connector's operation."),
    column("effect", Word, "The operation's class when it was planned."),
    column("state", Word, "See domain/states.py."),
    column(
        "external_id",
        sa.Text,
        "The provider's handle; empty until bound.",
        nullable=True,
    ),
    column("nonce", Id, "New for every send; half of the fence.", nullable=True),
    column("version", sa.Integer, "Raised by every write; the other half."),
    json("request", "The stored request: the same in every send.", nullable=True),
    column("resend", sa.Boolean, "In doubt, and cleared to be sent again."),
    maybe_instant("first_sent_at", "When it could first have left; never moves."),
    maybe_instant("doubt_since", "When doubt began."),
    maybe_instant("next_check_at", "When to poll or probe next."),
    column("checks", sa.Integer, "Questions without an answer, in a row."),
    column("errors", sa.Integer, "Of those, errors that use up patience, in a row."),
    column("stoppable", sa.Boolean, "Its command can ask the provider to stop it."),
    column("undoable", sa.Boolean, "Its command says how to take it back."),
    maybe_instant("cancel_asked_at", "When the provider was last asked to stop it."),
    json(
        "seen_before",
        "Class tasks: what fitted its description before it was sent.",
        nullable=True,
    ),
    json("decision", "What a person decided while it was held.", nullable=True),
    column(
        "ended_well",
        sa.Boolean,
        "Whether its job ended well; null until it is settled.",
        nullable=True,
    ),
    json("result", "What its job returned.", nullable=True),
    maybe_instant("undone_at", "When it was taken back, or nothing of it was left."),
    column("replaces_id", Id, "The definite failure that it retries.", nullable=True),
    instant("created_at", "When it was promised."),
    instant("updated_at", "When it last changed."),
    partial_index(
        "ix_earmark_placeholders_due",
        "provider_id",
        "next_check_at",
        where="state IN ('bound', 'in_doubt', 'held')",
    ),
    comment="Promised external effects, each written down before it is asked for.",
)

sends = sa.Table(
    "earmark_sends",
    metadata,
    column("nonce", Id, "New for every send.", primary_key=True),
    column(
        "placeholder_id",
        Id,
        "Which effect it asks for.",
        index=True,
        to="earmark_placeholders.id",
    ),
    column("sender_id", Id, "The worker that sends."),
    instant("sent_at", "From when on it can have left."),
    maybe_instant("over_at", "Since when this sender can send it no more (rule 1)."),
    column("answered", sa.Boolean, "The provider answered it: it has landed."),
    json("refusal", "A definite no: its code and text.", nullable=True),
    partial_index(
        "ix_earmark_sends_open",
        "sender_id",
        where="over_at IS NULL",
    ),
    comment="Every send of every effect: whether it can still land.",
)

evidence = sa.Table(
    "earmark_evidence",
    metadata,
    key("UUIDv7."),
    column(
        "placeholder_id",
        Id,
        "About which effect.",
        index=True,
        to="earmark_placeholders.id",
    ),
    instant("at", "When it was seen."),
    column("kind", Word, "sent, reply, error, probe, late, recovered …"),
    column("nonce", Id, "Which send it belongs to.", nullable=True),
    column("external_id", sa.Text, "The handle that it names, if any.", nullable=True),
    column("text", sa.Text, "What was seen, in words."),
    comment="What is known of each effect, late answers included; never fenced.",
)
