"""The house itself: installation, clock, zones, workers, secrets, audit."""

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
)

installation = sa.Table(
    "earmark_installation",
    metadata,
    key("Installation id: the first half of every mark (rule 17)."),
    column(
        "epoch", Name, "What tells this store from any other, or from an older copy."
    ),
    column(
        "heard", sa.BigInteger, "Counts up while workers live: an older copy has less."
    ),
    instant("created_at", "When this installation's database was made."),
    comment="One row: which installation this database belongs to.",
)

clock = sa.Table(
    "earmark_clock",
    metadata,
    column("boot", Name, "Which boot of which host.", primary_key=True),
    column(
        "offset_us",
        sa.BigInteger,
        "Store time minus the time since that boot, in microseconds.",
    ),
    comment="SQLite: the store's own clock, which no step of the host's moves.",
)

zones = sa.Table(
    "earmark_zones",
    metadata,
    key("UUIDv7."),
    column("name", Name, "What people, tasks and workers call it.", unique=True),
    column("description", sa.Text, "Which networks it reaches, in words."),
    instant("created_at", "When it was added."),
    comment="Places where workers stand.",
)

workers = sa.Table(
    "earmark_workers",
    metadata,
    key("UUIDv7, new for every process."),
    column("zone", Name, "Where it stands."),
    json("roles", "What it may do; ['*'] for everything."),
    json("commands", "[name, version] pairs that it knows (rule 19)."),
    column("host", Name, "Host name, for people."),
    column("machine", Name, "Host, boot and pid namespace: where the pid counts."),
    column("pid", sa.Integer, "Process id."),
    column("pid_started", sa.Float, "When that pid started, counted from the boot."),
    column("state", Word, "live, draining, silent, stopped or gone."),
    column("beat", sa.BigInteger, "Counts up; liveness is that it changes."),
    column("slots", sa.Integer, "How many tasks it runs at a time."),
    instant("started_at", "When it registered."),
    instant("seen_at", "When it beat last, for people only."),
    sa.Index("ix_earmark_workers_state", "state"),
    comment="Worker processes, the dead ones too until they are pruned.",
)

leases = sa.Table(
    "earmark_leases",
    metadata,
    column(
        "name",
        Name,
        "What is led: poller:<provider>, scheduler, recoverer.",
        primary_key=True,
    ),
    column("holder", Id, "The worker that leads."),
    instant("expires_at", "When anybody else may take it."),
    comment="Leadership as rows with a lease (rule 7), never session locks.",
)

secrets = sa.Table(
    "earmark_secrets",
    metadata,
    key("UUIDv7; rows, logs and pages hold only this."),
    column("sealed", sa.LargeBinary, "AES-GCM: header with key id, nonce, text."),
    column(
        "task_id",
        Id,
        "The task it is deleted with; null: a provider owns it.",
        nullable=True,
        index=True,
    ),
    instant("created_at", "When it was sealed."),
    comment="Sealed secrets, and nothing else that is secret.",
)

audit = sa.Table(
    "earmark_audit",
    metadata,
    key("UUIDv7."),
    instant("at", "When."),
    column("actor", Name, "Who: a principal, or worker:<id>."),
    column("action", Word, "The verb."),
    column("task_id", Id, "About which task.", nullable=True, index=True),
    json("data", "What else is to be known."),
    comment="Who did what; written in the transaction that did it.",
)

consoles = sa.Table(
    "earmark_consoles",
    metadata,
    key("UUIDv7; stands in URLs and opens nothing."),
    column("vm_id", Id, "Whose screen.", index=True),
    column("provider_id", Id, "Where that VM lives."),
    column("task_id", Id, "The task that opened it, once asked.", nullable=True),
    column("session_hash", Name, "SHA-256 of the browser's cookie: it alone may open."),
    column("ticket_hash", Name, "SHA-256 of the ticket, which is good once."),
    column("state", Word, "asked, claimed, open or ended."),
    column("address", sa.Text, "Where workers reach the web process that has it."),
    column("reason", sa.Text, "Why it ended, for people; empty before."),
    instant("created_at", "When the ticket was given out."),
    instant("expires_at", "When the ticket is worth nothing any more."),
    maybe_instant("claimed_at", "When the ticket was used."),
    instant("seen_at", "When the web process last said that it has it."),
    maybe_instant("ended_at", "When it ended."),
    comment="Consoles in browsers; over for an hour, they are deleted.",
)
