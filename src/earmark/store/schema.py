"""Every table and column, with what it means. Migrations follow this; a test compares.

Names are prefixed `earmark_` because the tables may live in the caller's database.
All times are the store's clock, in UTC (rule 14).
"""

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

installation = sa.Table(
    "earmark_installation",
    metadata,
    key("Installation id: the first half of every mark (rule 17)."),
    instant("created_at", "When this installation's database was made."),
    comment="One row: which installation this database belongs to.",
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

providers = sa.Table(
    "earmark_providers",
    metadata,
    key("UUIDv7."),
    column("name", Name, "What people call it.", unique=True),
    column("kind", Word, "Which connector speaks to it."),
    column("zone", Name, "The zone whose workers reach it."),
    json("settings", "The connector's settings; never a secret."),
    json("secrets", "Secret name → id in earmark_secrets."),
    column("version", sa.Integer, "Raised by every change of settings or secrets."),
    column("health", Word, "unknown, ok or error: how it answered last."),
    column("health_message", sa.Text, "The words that came with it."),
    maybe_instant("refreshed_at", "When the last whole listing was applied."),
    maybe_instant("refresh_due_at", "When the scheduler asks for the next listing."),
    instant("created_at", "When it was added."),
    comment="External systems that we were told about.",
)

provider_drafts = sa.Table(
    "earmark_provider_drafts",
    metadata,
    key("UUIDv7; stands in the URL of the form."),
    column("owner", Name, "Who filled in the form; nobody else may read it."),
    column("name", Name, "The name asked for."),
    column("kind", Word, "Which connector."),
    column("zone", Name, "The zone asked for."),
    json("settings", "The form's values; never a secret."),
    json("secrets", "Secret name → id in earmark_secrets."),
    column("task_id", Id, "The verification under way, if any.", nullable=True),
    column("provider_id", Id, "The provider it became, once it did.", nullable=True),
    instant("created_at", "When the form was sent; old drafts are pruned."),
    comment="Forms for new providers while their credentials are verified.",
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

tasks = sa.Table(
    "earmark_tasks",
    metadata,
    key("UUIDv7."),
    column("root_id", Id, "The task that somebody asked for; itself for a root."),
    column(
        "parent_id",
        Id,
        "The composite that planned it; null for a root.",
        nullable=True,
        to="earmark_tasks.id",
    ),
    column("key", Name, "Its key in the parent's plan; empty for a root."),
    column("command", Name, "The command's name."),
    column("command_version", sa.Integer, "The version of its parameters."),
    json("params", "Its parameters; secrets as references."),
    column("title", sa.Text, "What people read, with names filled in."),
    column(
        "object_kind", Word, "What it works on: vm, provider, template.", nullable=True
    ),
    column("object_id", Id, "Which one.", nullable=True),
    column("provider_id", Id, "The provider that it asks, if any.", nullable=True),
    column("owner", Name, "Who asked for it."),
    column("zone", Name, "Where it must run."),
    column("role", Word, "What its worker must be allowed to do."),
    column("priority", sa.Integer, "Smaller runs first; 100 is normal."),
    column("weight", sa.Integer, "Its share in the parent's progress."),
    column("state", Word, "See domain/states.py."),
    column("step", Word, "What a worker is to run next: run or finish."),
    column("outcome", Word, "How it ended; null until it is done.", nullable=True),
    column(
        "verdict", Word, "Fixed by the first failure among the children.", nullable=True
    ),
    column("progress", sa.Integer, "0 to 100."),
    column("message", sa.Text, "One line on how it stands or ended."),
    json("result", "What it returned.", nullable=True),
    json("error", "{code, message} when it ended badly.", nullable=True),
    column("attempt", sa.Integer, "Raised by every claim; half of the fence."),
    column("recoveries", sa.Integer, "How often a worker was lost under it."),
    column("pending", sa.Integer, "Children or predecessors not ended yet."),
    column("stop_requested", sa.Boolean, "Somebody asked it to stop."),
    column("worker_id", Id, "Who runs it now, or ran it last.", nullable=True),
    instant("run_after", "Not claimed before this."),
    maybe_instant("deadline_at", "When the call under way counts as hung (rule 6)."),
    column("log_lines", sa.Integer, "How many lines its log has."),
    column("version", sa.Integer, "Raised by every visible change."),
    instant("created_at", "When it was asked for."),
    maybe_instant("started_at", "When it was first claimed."),
    maybe_instant("finished_at", "When it ended."),
    instant("updated_at", "When it last changed."),
    partial_index(
        "ix_earmark_tasks_claim",
        "zone",
        "priority",
        "id",
        "role",
        where="state = 'queued'",
    ),
    partial_index(
        "ix_earmark_tasks_due",
        "zone",
        "run_after",
        where="state = 'queued'",
    ),
    partial_index(
        "ix_earmark_tasks_running",
        "worker_id",
        where="state = 'running'",
    ),
    partial_index(
        "ix_earmark_tasks_roots",
        "id",
        where="parent_id IS NULL",
    ),
    # Without the roots: SQLite would look for those here, and then sort them all.
    partial_index(
        "ix_earmark_tasks_parent",
        "parent_id",
        "key",
        where="parent_id IS NOT NULL",
    ),
    sa.Index("ix_earmark_tasks_root", "root_id", "id"),
    sa.Index("ix_earmark_tasks_object", "object_kind", "object_id", "id"),
    sa.Index("ix_earmark_tasks_state", "state", "id"),
    comment="Every run of a command. The queue is the rows in state queued.",
)

task_needs = sa.Table(
    "earmark_task_needs",
    metadata,
    column("task_id", Id, "Who waits.", primary_key=True, to="earmark_tasks.id"),
    column(
        "needs_id", Id, "For whom.", primary_key=True, index=True, to="earmark_tasks.id"
    ),
    comment="`after=` between siblings of one plan.",
)

task_log = sa.Table(
    "earmark_task_log",
    metadata,
    column("task_id", Id, "Whose log.", primary_key=True, to="earmark_tasks.id"),
    column("number", sa.Integer, "From 1.", primary_key=True, autoincrement=False),
    instant("at", "When it was written."),
    column("level", Word, "info, warning or error."),
    column("text", sa.Text, "The line."),
    comment="A log per task, lines numbered from 1.",
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
    json("result", "What its job returned.", nullable=True),
    column("replaces_id", Id, "The definite failure that it retries.", nullable=True),
    instant("created_at", "When it was promised."),
    instant("updated_at", "When it last changed."),
    partial_index(
        "ix_earmark_placeholders_due",
        "provider_id",
        "next_check_at",
        where="state IN ('bound', 'in_doubt')",
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

locks = sa.Table(
    "earmark_locks",
    metadata,
    column("kind", Word, "What kind of thing is locked.", primary_key=True),
    column("name", Name, "Which one.", primary_key=True),
    column(
        "root_id",
        Id,
        "The root that holds it.",
        primary_key=True,
        to="earmark_tasks.id",
    ),
    column("mode", Word, "shared or exclusive."),
    instant("since", "When it was taken."),
    sa.Index("ix_earmark_locks_root", "root_id"),
    comment="Locks of objects, gone in the transaction that ends their root.",
)

idempotency = sa.Table(
    "earmark_idempotency",
    metadata,
    column("owner", Name, "Who sent the key.", primary_key=True),
    column("key", Name, "The key.", primary_key=True),
    column("body_hash", sa.String(64), "SHA-256 of the request."),
    column("task_id", Id, "What it made.", to="earmark_tasks.id", index=True),
    instant("created_at", "When it came first."),
    comment="Keys that make a repeated request harmless (rule 20).",
)

vms = sa.Table(
    "earmark_vms",
    metadata,
    key("UUIDv7."),
    column("provider_id", Id, "Where it lives.", to="earmark_providers.id"),
    column("external_id", Name, "The provider's id of it."),
    column("name", Name, "Its name there.", index=True),
    column("power_state", Word, "As last observed."),
    instant("observed_at", "When the fetch behind this began (rule 18)."),
    maybe_instant("command_at", "When a command of ours last saw it (rule 18)."),
    maybe_instant("gone_at", "Since when a whole listing lacks it."),
    column("version", sa.Integer, "Raised by every visible change."),
    sa.UniqueConstraint("provider_id", "external_id"),
    comment="Virtual machines, as last observed.",
)

disks = sa.Table(
    "earmark_disks",
    metadata,
    key("UUIDv7."),
    column("vm_id", Id, "Whose disk.", to="earmark_vms.id", index=True),
    column("external_id", Name, "The provider's id of it."),
    column("position", sa.Integer, "Its place among the VM's disks."),
    column("alias", Name, "Its name there."),
    column("image", Name, "What a copy starts from."),
    column("size_bytes", sa.BigInteger, "Its size."),
    column("domain", Name, "Where it is stored."),
    comment="Disks of VMs, as last observed.",
)

templates = sa.Table(
    "earmark_templates",
    metadata,
    key("UUIDv7."),
    column("provider_id", Id, "Where it lives.", to="earmark_providers.id"),
    column("external_id", Name, "The provider's id of it."),
    column("name", Name, "Its name there."),
    json("images", "The images that it is made of."),
    column("vm_id", Id, "The VM that it was made from, if we made it.", nullable=True),
    instant("observed_at", "When the fetch behind this began (rule 18)."),
    maybe_instant("command_at", "When a command of ours last wrote it (rule 18)."),
    maybe_instant("gone_at", "Since when a whole listing lacks it."),
    instant("created_at", "When we first knew of it."),
    sa.UniqueConstraint("provider_id", "external_id"),
    comment="VM templates.",
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
