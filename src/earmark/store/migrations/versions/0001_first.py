"""Everything that there is at first."""

import sqlalchemy as sa
from alembic import op

from earmark.store.columns import Json, UtcDateTime

revision = "0001"
down_revision: str | None = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "earmark_audit",
        sa.Column("id", sa.String(length=36), nullable=False, comment="UUIDv7."),
        sa.Column("at", UtcDateTime(), nullable=False, comment="When."),
        sa.Column(
            "actor",
            sa.String(length=200),
            nullable=False,
            comment="Who: a principal, or worker:<id>.",
        ),
        sa.Column("action", sa.String(length=32), nullable=False, comment="The verb."),
        sa.Column(
            "task_id", sa.String(length=36), nullable=True, comment="About which task."
        ),
        sa.Column("data", Json, nullable=False, comment="What else is to be known."),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_earmark_audit")),
        comment="Who did what; written in the transaction that did it.",
    )
    op.create_index(
        op.f("ix_earmark_audit_task_id"), "earmark_audit", ["task_id"], unique=False
    )
    op.create_table(
        "earmark_clock",
        sa.Column(
            "boot",
            sa.String(length=200),
            nullable=False,
            comment="Which boot of which host.",
        ),
        sa.Column(
            "offset_us",
            sa.BigInteger(),
            nullable=False,
            comment="Store time minus the time since that boot, in microseconds.",
        ),
        sa.PrimaryKeyConstraint("boot", name=op.f("pk_earmark_clock")),
        comment="SQLite: the store's own clock, which no step of the host's moves.",
    )
    op.create_table(
        "earmark_consoles",
        sa.Column(
            "id",
            sa.String(length=36),
            nullable=False,
            comment="UUIDv7; stands in URLs and opens nothing.",
        ),
        sa.Column(
            "vm_id", sa.String(length=36), nullable=False, comment="Whose screen."
        ),
        sa.Column(
            "provider_id",
            sa.String(length=36),
            nullable=False,
            comment="Where that VM lives.",
        ),
        sa.Column(
            "task_id",
            sa.String(length=36),
            nullable=True,
            comment="The task that opened it, once asked.",
        ),
        sa.Column(
            "session_hash",
            sa.String(length=200),
            nullable=False,
            comment="SHA-256 of the browser's cookie: it alone may open.",
        ),
        sa.Column(
            "ticket_hash",
            sa.String(length=200),
            nullable=False,
            comment="SHA-256 of the ticket, which is good once.",
        ),
        sa.Column(
            "state",
            sa.String(length=32),
            nullable=False,
            comment="asked, claimed, open or ended.",
        ),
        sa.Column(
            "address",
            sa.Text(),
            nullable=False,
            comment="Where workers reach the web process that has it.",
        ),
        sa.Column(
            "reason",
            sa.Text(),
            nullable=False,
            comment="Why it ended, for people; empty before.",
        ),
        sa.Column(
            "created_at",
            UtcDateTime(),
            nullable=False,
            comment="When the ticket was given out.",
        ),
        sa.Column(
            "expires_at",
            UtcDateTime(),
            nullable=False,
            comment="When the ticket is worth nothing any more.",
        ),
        sa.Column(
            "claimed_at",
            UtcDateTime(),
            nullable=True,
            comment="When the ticket was used.",
        ),
        sa.Column(
            "seen_at",
            UtcDateTime(),
            nullable=False,
            comment="When the web process last said that it has it.",
        ),
        sa.Column("ended_at", UtcDateTime(), nullable=True, comment="When it ended."),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_earmark_consoles")),
        comment="Consoles in browsers; over for an hour, they are deleted.",
    )
    op.create_index(
        op.f("ix_earmark_consoles_vm_id"), "earmark_consoles", ["vm_id"], unique=False
    )
    op.create_table(
        "earmark_idempotency",
        sa.Column(
            "owner", sa.String(length=200), nullable=False, comment="Who sent the key."
        ),
        sa.Column("key", sa.String(length=200), nullable=False, comment="The key."),
        sa.Column(
            "body_hash",
            sa.String(length=64),
            nullable=False,
            comment="SHA-256 of the request.",
        ),
        sa.Column(
            "task_id", sa.String(length=36), nullable=False, comment="What it made."
        ),
        sa.Column(
            "created_at", UtcDateTime(), nullable=False, comment="When it came first."
        ),
        sa.PrimaryKeyConstraint("owner", "key", name=op.f("pk_earmark_idempotency")),
        comment="Keys that make a repeated request harmless (rule 20).",
    )
    op.create_index(
        op.f("ix_earmark_idempotency_task_id"),
        "earmark_idempotency",
        ["task_id"],
        unique=False,
    )
    op.create_table(
        "earmark_installation",
        sa.Column(
            "id",
            sa.String(length=36),
            nullable=False,
            comment="Installation id: the first half of every mark (rule 17).",
        ),
        sa.Column(
            "epoch",
            sa.String(length=200),
            nullable=False,
            comment="What tells this store from any other, or from an older copy.",
        ),
        sa.Column(
            "heard",
            sa.BigInteger(),
            nullable=False,
            comment="Counts up while workers live: an older copy has less.",
        ),
        sa.Column(
            "created_at",
            UtcDateTime(),
            nullable=False,
            comment="When this installation's database was made.",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_earmark_installation")),
        comment="One row: which installation this database belongs to.",
    )
    op.create_table(
        "earmark_leases",
        sa.Column(
            "name",
            sa.String(length=200),
            nullable=False,
            comment="What is led: poller:<provider>, scheduler, recoverer.",
        ),
        sa.Column(
            "holder",
            sa.String(length=36),
            nullable=False,
            comment="The worker that leads.",
        ),
        sa.Column(
            "expires_at",
            UtcDateTime(),
            nullable=False,
            comment="When anybody else may take it.",
        ),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_earmark_leases")),
        comment="Leadership as rows with a lease (rule 7), never session locks.",
    )
    op.create_table(
        "earmark_provider_drafts",
        sa.Column(
            "id",
            sa.String(length=36),
            nullable=False,
            comment="UUIDv7; stands in the URL of the form.",
        ),
        sa.Column(
            "owner",
            sa.String(length=200),
            nullable=False,
            comment="Who filled in the form; nobody else may read it.",
        ),
        sa.Column(
            "name", sa.String(length=200), nullable=False, comment="The name asked for."
        ),
        sa.Column(
            "kind", sa.String(length=32), nullable=False, comment="Which connector."
        ),
        sa.Column(
            "zone", sa.String(length=200), nullable=False, comment="The zone asked for."
        ),
        sa.Column(
            "settings",
            Json,
            nullable=False,
            comment="The form's values; never a secret.",
        ),
        sa.Column(
            "secrets",
            Json,
            nullable=False,
            comment="Secret name → id in earmark_secrets.",
        ),
        sa.Column(
            "task_id",
            sa.String(length=36),
            nullable=True,
            comment="The verification under way, if any.",
        ),
        sa.Column(
            "provider_id",
            sa.String(length=36),
            nullable=True,
            comment="The provider it became, once it did.",
        ),
        sa.Column(
            "created_at",
            UtcDateTime(),
            nullable=False,
            comment="When the form was sent; old drafts are pruned.",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_earmark_provider_drafts")),
        comment="Forms for new providers while their credentials are verified.",
    )
    op.create_table(
        "earmark_providers",
        sa.Column("id", sa.String(length=36), nullable=False, comment="UUIDv7."),
        sa.Column(
            "name",
            sa.String(length=200),
            nullable=False,
            comment="What people call it.",
        ),
        sa.Column(
            "kind",
            sa.String(length=32),
            nullable=False,
            comment="Which connector speaks to it.",
        ),
        sa.Column(
            "zone",
            sa.String(length=200),
            nullable=False,
            comment="The zone whose workers reach it.",
        ),
        sa.Column(
            "settings",
            Json,
            nullable=False,
            comment="The connector's settings; never a secret.",
        ),
        sa.Column(
            "secrets",
            Json,
            nullable=False,
            comment="Secret name → id in earmark_secrets.",
        ),
        sa.Column(
            "version",
            sa.Integer(),
            nullable=False,
            comment="Raised by every change of settings or secrets.",
        ),
        sa.Column(
            "health",
            sa.String(length=32),
            nullable=False,
            comment="unknown, ok or error: how it answered last.",
        ),
        sa.Column(
            "health_message",
            sa.Text(),
            nullable=False,
            comment="The words that came with it.",
        ),
        sa.Column(
            "refreshed_at",
            UtcDateTime(),
            nullable=True,
            comment="When the last whole listing was applied.",
        ),
        sa.Column(
            "refresh_due_at",
            UtcDateTime(),
            nullable=True,
            comment="When the scheduler asks for the next listing.",
        ),
        sa.Column(
            "created_at", UtcDateTime(), nullable=False, comment="When it was added."
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_earmark_providers")),
        sa.UniqueConstraint("name", name=op.f("uq_earmark_providers_name")),
        comment="External systems that we were told about.",
    )
    op.create_table(
        "earmark_secrets",
        sa.Column(
            "id",
            sa.String(length=36),
            nullable=False,
            comment="UUIDv7; rows, logs and pages hold only this.",
        ),
        sa.Column(
            "sealed",
            sa.LargeBinary(),
            nullable=False,
            comment="AES-GCM: header with key id, nonce, text.",
        ),
        sa.Column(
            "task_id",
            sa.String(length=36),
            nullable=True,
            comment="The task it is deleted with; null: a provider owns it.",
        ),
        sa.Column(
            "created_at", UtcDateTime(), nullable=False, comment="When it was sealed."
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_earmark_secrets")),
        comment="Sealed secrets, and nothing else that is secret.",
    )
    op.create_index(
        op.f("ix_earmark_secrets_task_id"), "earmark_secrets", ["task_id"], unique=False
    )
    op.create_table(
        "earmark_tasks",
        sa.Column("id", sa.String(length=36), nullable=False, comment="UUIDv7."),
        sa.Column(
            "root_id",
            sa.String(length=36),
            nullable=False,
            comment="The task that somebody asked for; itself for a root.",
        ),
        sa.Column(
            "parent_id",
            sa.String(length=36),
            nullable=True,
            comment="The composite that planned it; null for a root.",
        ),
        sa.Column(
            "key",
            sa.String(length=200),
            nullable=False,
            comment="Its key in the parent's plan; empty for a root.",
        ),
        sa.Column(
            "retry_of",
            sa.String(length=36),
            nullable=True,
            comment="The ended task that a person asked to try again.",
        ),
        sa.Column(
            "undoes_id",
            sa.String(length=36),
            nullable=True,
            comment="The effect that it takes back, as a part of its root's undo.",
        ),
        sa.Column(
            "command",
            sa.String(length=200),
            nullable=False,
            comment="The command's name.",
        ),
        sa.Column(
            "command_version",
            sa.Integer(),
            nullable=False,
            comment="The version of its parameters.",
        ),
        sa.Column(
            "params",
            Json,
            nullable=False,
            comment="Its parameters; secrets as references.",
        ),
        sa.Column(
            "title",
            sa.Text(),
            nullable=False,
            comment="What people read, with names filled in.",
        ),
        sa.Column(
            "object_kind",
            sa.String(length=32),
            nullable=True,
            comment="What it works on: vm, provider, template.",
        ),
        sa.Column(
            "object_id", sa.String(length=36), nullable=True, comment="Which one."
        ),
        sa.Column(
            "provider_id",
            sa.String(length=36),
            nullable=True,
            comment="The provider that it asks, if any.",
        ),
        sa.Column(
            "owner", sa.String(length=200), nullable=False, comment="Who asked for it."
        ),
        sa.Column(
            "zone", sa.String(length=200), nullable=False, comment="Where it must run."
        ),
        sa.Column(
            "role",
            sa.String(length=32),
            nullable=False,
            comment="What its worker must be allowed to do.",
        ),
        sa.Column(
            "priority",
            sa.Integer(),
            nullable=False,
            comment="Smaller runs first; 100 is normal.",
        ),
        sa.Column(
            "weight",
            sa.Integer(),
            nullable=False,
            comment="Its share in the parent's progress.",
        ),
        sa.Column(
            "state",
            sa.String(length=32),
            nullable=False,
            comment="See domain/states.py.",
        ),
        sa.Column(
            "step",
            sa.String(length=32),
            nullable=False,
            comment="What a worker is to do next: run, finish or undo.",
        ),
        sa.Column(
            "outcome",
            sa.String(length=32),
            nullable=True,
            comment="How it ended; null until it is done.",
        ),
        sa.Column(
            "verdict",
            sa.String(length=32),
            nullable=True,
            comment="Fixed by the first failure among the children.",
        ),
        sa.Column("progress", sa.Integer(), nullable=False, comment="0 to 100."),
        sa.Column(
            "message",
            sa.Text(),
            nullable=False,
            comment="One line on how it stands or ended.",
        ),
        sa.Column("result", Json, nullable=True, comment="What it returned."),
        sa.Column(
            "error", Json, nullable=True, comment="{code, message} when it ended badly."
        ),
        sa.Column(
            "attempt",
            sa.Integer(),
            nullable=False,
            comment="Raised by every claim; half of the fence.",
        ),
        sa.Column(
            "tries",
            sa.Integer(),
            nullable=False,
            comment="How many attempts came past their plan.",
        ),
        sa.Column(
            "recoveries",
            sa.Integer(),
            nullable=False,
            comment="How often a worker was lost under it.",
        ),
        sa.Column(
            "pending",
            sa.Integer(),
            nullable=False,
            comment="Children or predecessors not ended yet.",
        ),
        sa.Column(
            "stop_requested",
            sa.Boolean(),
            nullable=False,
            comment="Nothing of it is to be sent any more.",
        ),
        sa.Column(
            "cancelled_by",
            sa.String(length=200),
            nullable=True,
            comment="Who asked to cancel it, if anybody.",
        ),
        sa.Column(
            "on_restart",
            sa.String(length=32),
            nullable=False,
            comment="When a worker is lost under it: resume, or fail.",
        ),
        sa.Column(
            "restored",
            sa.Boolean(),
            nullable=False,
            comment="Its effects are looked for before they are sent (rule 15).",
        ),
        sa.Column(
            "worker_id",
            sa.String(length=36),
            nullable=True,
            comment="Who runs it now, or ran it last.",
        ),
        sa.Column(
            "run_after",
            UtcDateTime(),
            nullable=False,
            comment="Not claimed before this.",
        ),
        sa.Column(
            "deadline_at",
            UtcDateTime(),
            nullable=True,
            comment="When the call under way counts as hung (rule 6).",
        ),
        sa.Column(
            "start_by",
            UtcDateTime(),
            nullable=True,
            comment="Expires when it has not been claimed by then.",
        ),
        sa.Column(
            "end_by",
            UtcDateTime(),
            nullable=True,
            comment="Is asked to stop when it has not ended by then.",
        ),
        sa.Column(
            "log_lines",
            sa.Integer(),
            nullable=False,
            comment="How many lines its log has.",
        ),
        sa.Column(
            "version",
            sa.Integer(),
            nullable=False,
            comment="Raised by every visible change.",
        ),
        sa.Column(
            "created_at",
            UtcDateTime(),
            nullable=False,
            comment="When it was asked for.",
        ),
        sa.Column(
            "started_at",
            UtcDateTime(),
            nullable=True,
            comment="When it was first claimed.",
        ),
        sa.Column(
            "finished_at", UtcDateTime(), nullable=True, comment="When it ended."
        ),
        sa.Column(
            "updated_at", UtcDateTime(), nullable=False, comment="When it last changed."
        ),
        sa.ForeignKeyConstraint(
            ["parent_id"], ["earmark_tasks.id"], name=op.f("fk_earmark_tasks_parent_id")
        ),
        sa.ForeignKeyConstraint(
            ["retry_of"], ["earmark_tasks.id"], name=op.f("fk_earmark_tasks_retry_of")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_earmark_tasks")),
        comment="Every run of a command. The queue is the rows in state queued.",
    )
    op.create_index(
        "ix_earmark_tasks_busy",
        "earmark_tasks",
        ["object_kind", "object_id"],
        unique=False,
        postgresql_where=sa.text("finished_at IS NULL"),
        sqlite_where=sa.text("finished_at IS NULL"),
    )
    op.create_index(
        "ix_earmark_tasks_claim",
        "earmark_tasks",
        ["zone", "priority", "id", "role"],
        unique=False,
        postgresql_where=sa.text("state = 'queued'"),
        sqlite_where=sa.text("state = 'queued'"),
    )
    op.create_index(
        "ix_earmark_tasks_command",
        "earmark_tasks",
        ["command", "id"],
        unique=False,
        postgresql_where=sa.text("parent_id IS NULL AND finished_at IS NOT NULL"),
        sqlite_where=sa.text("parent_id IS NULL AND finished_at IS NOT NULL"),
    )
    op.create_index(
        "ix_earmark_tasks_due",
        "earmark_tasks",
        ["zone", "run_after"],
        unique=False,
        postgresql_where=sa.text("state = 'queued'"),
        sqlite_where=sa.text("state = 'queued'"),
    )
    op.create_index(
        "ix_earmark_tasks_end_by",
        "earmark_tasks",
        ["end_by"],
        unique=False,
        postgresql_where=sa.text("end_by IS NOT NULL AND state <> 'done'"),
        sqlite_where=sa.text("end_by IS NOT NULL AND state <> 'done'"),
    )
    op.create_index(
        "ix_earmark_tasks_ended",
        "earmark_tasks",
        ["finished_at", "id"],
        unique=False,
        postgresql_where=sa.text("parent_id IS NULL AND finished_at IS NOT NULL"),
        sqlite_where=sa.text("parent_id IS NULL AND finished_at IS NOT NULL"),
    )
    op.create_index(
        "ix_earmark_tasks_object",
        "earmark_tasks",
        ["object_kind", "object_id", "id"],
        unique=False,
    )
    op.create_index(
        "ix_earmark_tasks_outcome",
        "earmark_tasks",
        ["outcome", "id"],
        unique=False,
        postgresql_where=sa.text("parent_id IS NULL AND finished_at IS NOT NULL"),
        sqlite_where=sa.text("parent_id IS NULL AND finished_at IS NOT NULL"),
    )
    op.create_index(
        "ix_earmark_tasks_owner",
        "earmark_tasks",
        ["owner", "id"],
        unique=False,
        postgresql_where=sa.text("parent_id IS NULL AND finished_at IS NOT NULL"),
        sqlite_where=sa.text("parent_id IS NULL AND finished_at IS NOT NULL"),
    )
    op.create_index(
        "ix_earmark_tasks_pace",
        "earmark_tasks",
        ["command", "provider_id", "id"],
        unique=False,
        postgresql_where=sa.text("outcome = 'ok' AND provider_id IS NOT NULL"),
        sqlite_where=sa.text("outcome = 'ok' AND provider_id IS NOT NULL"),
    )
    op.create_index(
        "ix_earmark_tasks_pace_alone",
        "earmark_tasks",
        ["command", "id"],
        unique=False,
        postgresql_where=sa.text("outcome = 'ok' AND provider_id IS NULL"),
        sqlite_where=sa.text("outcome = 'ok' AND provider_id IS NULL"),
    )
    op.create_index(
        "ix_earmark_tasks_parent",
        "earmark_tasks",
        ["parent_id", "key"],
        unique=False,
        postgresql_where=sa.text("parent_id IS NOT NULL"),
        sqlite_where=sa.text("parent_id IS NOT NULL"),
    )
    op.create_index(
        "ix_earmark_tasks_retry_of",
        "earmark_tasks",
        ["retry_of"],
        unique=False,
        postgresql_where=sa.text("retry_of IS NOT NULL"),
        sqlite_where=sa.text("retry_of IS NOT NULL"),
    )
    op.create_index(
        "ix_earmark_tasks_root", "earmark_tasks", ["root_id", "id"], unique=False
    )
    op.create_index(
        "ix_earmark_tasks_roots",
        "earmark_tasks",
        ["id"],
        unique=False,
        postgresql_where=sa.text("parent_id IS NULL"),
        sqlite_where=sa.text("parent_id IS NULL"),
    )
    op.create_index(
        "ix_earmark_tasks_running",
        "earmark_tasks",
        ["worker_id"],
        unique=False,
        postgresql_where=sa.text("state = 'running'"),
        sqlite_where=sa.text("state = 'running'"),
    )
    op.create_index(
        "ix_earmark_tasks_start_by",
        "earmark_tasks",
        ["start_by"],
        unique=False,
        postgresql_where=sa.text("start_by IS NOT NULL AND state = 'queued'"),
        sqlite_where=sa.text("start_by IS NOT NULL AND state = 'queued'"),
    )
    op.create_index(
        "ix_earmark_tasks_state", "earmark_tasks", ["state", "id"], unique=False
    )
    op.create_index(
        "ix_earmark_tasks_undoes",
        "earmark_tasks",
        ["undoes_id"],
        unique=False,
        postgresql_where=sa.text("undoes_id IS NOT NULL"),
        sqlite_where=sa.text("undoes_id IS NOT NULL"),
    )
    op.create_index(
        "ix_earmark_tasks_zone",
        "earmark_tasks",
        ["zone", "id"],
        unique=False,
        postgresql_where=sa.text("parent_id IS NULL AND finished_at IS NOT NULL"),
        sqlite_where=sa.text("parent_id IS NULL AND finished_at IS NOT NULL"),
    )
    op.create_table(
        "earmark_tombstones",
        sa.Column(
            "token",
            sa.String(length=36),
            nullable=False,
            comment="The id of a root, or of an effect: its token.",
        ),
        sa.Column(
            "provider_id",
            sa.String(length=36),
            nullable=True,
            comment="Where the effect was; null: a root.",
        ),
        sa.Column("at", UtcDateTime(), nullable=False, comment="When its task ended."),
        sa.Column(
            "what", sa.Text(), nullable=False, comment="How it ended, and what it was."
        ),
        sa.PrimaryKeyConstraint("token", name=op.f("pk_earmark_tombstones")),
        comment="What is left of deleted tasks, so that nothing they made is a riddle.",
    )
    op.create_table(
        "earmark_workers",
        sa.Column(
            "id",
            sa.String(length=36),
            nullable=False,
            comment="UUIDv7, new for every process.",
        ),
        sa.Column(
            "zone", sa.String(length=200), nullable=False, comment="Where it stands."
        ),
        sa.Column(
            "roles",
            Json,
            nullable=False,
            comment="What it may do; ['*'] for everything.",
        ),
        sa.Column(
            "commands",
            Json,
            nullable=False,
            comment="[name, version] pairs that it knows (rule 19).",
        ),
        sa.Column(
            "host",
            sa.String(length=200),
            nullable=False,
            comment="Host name, for people.",
        ),
        sa.Column(
            "machine",
            sa.String(length=200),
            nullable=False,
            comment="Host, boot and pid namespace: where the pid counts.",
        ),
        sa.Column("pid", sa.Integer(), nullable=False, comment="Process id."),
        sa.Column(
            "pid_started",
            sa.Float(),
            nullable=False,
            comment="When that pid started, counted from the boot.",
        ),
        sa.Column(
            "state",
            sa.String(length=32),
            nullable=False,
            comment="live, draining, silent, stopped or gone.",
        ),
        sa.Column(
            "beat",
            sa.BigInteger(),
            nullable=False,
            comment="Counts up; liveness is that it changes.",
        ),
        sa.Column(
            "slots",
            sa.Integer(),
            nullable=False,
            comment="How many tasks it runs at a time.",
        ),
        sa.Column(
            "started_at", UtcDateTime(), nullable=False, comment="When it registered."
        ),
        sa.Column(
            "seen_at",
            UtcDateTime(),
            nullable=False,
            comment="When it beat last, for people only.",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_earmark_workers")),
        comment="Worker processes, the dead ones too until they are pruned.",
    )
    op.create_index(
        "ix_earmark_workers_state", "earmark_workers", ["state"], unique=False
    )
    op.create_table(
        "earmark_zones",
        sa.Column("id", sa.String(length=36), nullable=False, comment="UUIDv7."),
        sa.Column(
            "name",
            sa.String(length=200),
            nullable=False,
            comment="What people, tasks and workers call it.",
        ),
        sa.Column(
            "description",
            sa.Text(),
            nullable=False,
            comment="Which networks it reaches, in words.",
        ),
        sa.Column(
            "created_at", UtcDateTime(), nullable=False, comment="When it was added."
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_earmark_zones")),
        sa.UniqueConstraint("name", name=op.f("uq_earmark_zones_name")),
        comment="Places where workers stand.",
    )
    op.create_table(
        "earmark_lock_queue",
        sa.Column(
            "kind",
            sa.String(length=32),
            nullable=False,
            comment="What kind of thing it waits for.",
        ),
        sa.Column("name", sa.String(length=200), nullable=False, comment="Which one."),
        sa.Column(
            "root_id",
            sa.String(length=36),
            nullable=False,
            comment="The root that waits; the order of ids is the order of the queue.",
        ),
        sa.Column(
            "mode", sa.String(length=32), nullable=False, comment="shared or exclusive."
        ),
        sa.Column(
            "since", UtcDateTime(), nullable=False, comment="When it began to wait."
        ),
        sa.ForeignKeyConstraint(
            ["root_id"],
            ["earmark_tasks.id"],
            name=op.f("fk_earmark_lock_queue_root_id"),
        ),
        sa.PrimaryKeyConstraint(
            "kind", "name", "root_id", name=op.f("pk_earmark_lock_queue")
        ),
        comment="Roots that hold nothing and wait for locks, first come, first served.",
    )
    op.create_index(
        "ix_earmark_lock_queue_root", "earmark_lock_queue", ["root_id"], unique=False
    )
    op.create_table(
        "earmark_locks",
        sa.Column(
            "kind",
            sa.String(length=32),
            nullable=False,
            comment="What kind of thing is locked.",
        ),
        sa.Column("name", sa.String(length=200), nullable=False, comment="Which one."),
        sa.Column(
            "root_id",
            sa.String(length=36),
            nullable=False,
            comment="The root that holds it.",
        ),
        sa.Column(
            "mode", sa.String(length=32), nullable=False, comment="shared or exclusive."
        ),
        sa.Column("since", UtcDateTime(), nullable=False, comment="When it was taken."),
        sa.ForeignKeyConstraint(
            ["root_id"], ["earmark_tasks.id"], name=op.f("fk_earmark_locks_root_id")
        ),
        sa.PrimaryKeyConstraint(
            "kind", "name", "root_id", name=op.f("pk_earmark_locks")
        ),
        comment="Locks of objects, gone in the transaction that ends their root.",
    )
    op.create_index("ix_earmark_locks_root", "earmark_locks", ["root_id"], unique=False)
    op.create_table(
        "earmark_notifications",
        sa.Column("id", sa.String(length=36), nullable=False, comment="UUIDv7."),
        sa.Column(
            "owner",
            sa.String(length=200),
            nullable=False,
            comment="Who wants to know how the task ends.",
        ),
        sa.Column(
            "task_id",
            sa.String(length=36),
            nullable=False,
            comment="The task; they are deleted with it.",
        ),
        sa.Column(
            "next",
            sa.String(length=200),
            nullable=False,
            comment="The continuation that the end leads to.",
        ),
        sa.Column(
            "created_at",
            UtcDateTime(),
            nullable=False,
            comment="When it was asked for.",
        ),
        sa.Column(
            "ended_at",
            UtcDateTime(),
            nullable=True,
            comment="When the task ended: from then on it is shown.",
        ),
        sa.Column("read_at", UtcDateTime(), nullable=True, comment="When it was read."),
        sa.Column(
            "dismissed_at",
            UtcDateTime(),
            nullable=True,
            comment="When it was dismissed, or read if it is a good one.",
        ),
        sa.ForeignKeyConstraint(
            ["task_id"],
            ["earmark_tasks.id"],
            name=op.f("fk_earmark_notifications_task_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_earmark_notifications")),
        sa.UniqueConstraint(
            "owner", "task_id", name=op.f("uq_earmark_notifications_owner_task_id")
        ),
        comment="Ends of tasks that somebody wants to be told of.",
    )
    op.create_index(
        "ix_earmark_notifications_shown",
        "earmark_notifications",
        ["owner", "ended_at", "id"],
        unique=False,
        postgresql_where=sa.text("ended_at IS NOT NULL AND dismissed_at IS NULL"),
        sqlite_where=sa.text("ended_at IS NOT NULL AND dismissed_at IS NULL"),
    )
    op.create_index(
        op.f("ix_earmark_notifications_task_id"),
        "earmark_notifications",
        ["task_id"],
        unique=False,
    )
    op.create_table(
        "earmark_orphans",
        sa.Column("id", sa.String(length=36), nullable=False, comment="UUIDv7."),
        sa.Column(
            "provider_id", sa.String(length=36), nullable=False, comment="Where it is."
        ),
        sa.Column(
            "kind",
            sa.String(length=200),
            nullable=False,
            comment="The connector's word for what it is.",
        ),
        sa.Column(
            "external_id", sa.Text(), nullable=False, comment="The provider's id of it."
        ),
        sa.Column("name", sa.Text(), nullable=False, comment="Its name there."),
        sa.Column(
            "token",
            sa.Text(),
            nullable=False,
            comment="The second half of its mark: whose effect it is.",
        ),
        sa.Column(
            "state",
            sa.String(length=32),
            nullable=False,
            comment="open, adopted, destroyed or gone.",
        ),
        sa.Column(
            "story",
            sa.Text(),
            nullable=False,
            comment="What is likely to have happened, for people.",
        ),
        sa.Column(
            "task_id",
            sa.String(length=36),
            nullable=True,
            comment="The task whose request made it, if known.",
        ),
        sa.Column(
            "created_at",
            UtcDateTime(),
            nullable=True,
            comment="When it was made, by the provider's clock.",
        ),
        sa.Column(
            "first_seen_at",
            UtcDateTime(),
            nullable=False,
            comment="When the listing that showed it first began.",
        ),
        sa.Column(
            "last_seen_at",
            UtcDateTime(),
            nullable=False,
            comment="When the last listing that showed it began.",
        ),
        sa.Column(
            "decided_by",
            sa.String(length=200),
            nullable=True,
            comment="Who adopted or destroyed it.",
        ),
        sa.Column(
            "why", sa.Text(), nullable=True, comment="What that person said about it."
        ),
        sa.Column(
            "decided_at",
            UtcDateTime(),
            nullable=True,
            comment="When it was adopted, destroyed or missed.",
        ),
        sa.ForeignKeyConstraint(
            ["provider_id"],
            ["earmark_providers.id"],
            name=op.f("fk_earmark_orphans_provider_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_earmark_orphans")),
        sa.UniqueConstraint(
            "provider_id",
            "kind",
            "external_id",
            name=op.f("uq_earmark_orphans_provider_id_kind_external_id"),
        ),
        comment="What is at providers with our mark, explained by nothing (rule 17).",
    )
    op.create_index(
        "ix_earmark_orphans_open",
        "earmark_orphans",
        ["provider_id"],
        unique=False,
        postgresql_where=sa.text("state = 'open'"),
        sqlite_where=sa.text("state = 'open'"),
    )
    op.create_index(
        "ix_earmark_orphans_token",
        "earmark_orphans",
        ["token"],
        unique=False,
        postgresql_where=sa.text("state = 'open'"),
        sqlite_where=sa.text("state = 'open'"),
    )
    op.create_table(
        "earmark_placeholders",
        sa.Column(
            "id",
            sa.String(length=36),
            nullable=False,
            comment="UUIDv7: the token that is sent to the provider.",
        ),
        sa.Column(
            "task_id",
            sa.String(length=36),
            nullable=False,
            comment="The task that promised it.",
        ),
        sa.Column("root_id", sa.String(length=36), nullable=False, comment="Its root."),
        sa.Column(
            "provider_id",
            sa.String(length=36),
            nullable=False,
            comment="Where the effect will be.",
        ),
        sa.Column(
            "operation",
            sa.String(length=200),
            nullable=False,
            comment="The connector's operation.",
        ),
        sa.Column(
            "effect",
            sa.String(length=32),
            nullable=False,
            comment="The operation's class when it was planned.",
        ),
        sa.Column(
            "state",
            sa.String(length=32),
            nullable=False,
            comment="See domain/states.py.",
        ),
        sa.Column(
            "external_id",
            sa.Text(),
            nullable=True,
            comment="The provider's handle; empty until bound.",
        ),
        sa.Column(
            "nonce",
            sa.String(length=36),
            nullable=True,
            comment="New for every send; half of the fence.",
        ),
        sa.Column(
            "version",
            sa.Integer(),
            nullable=False,
            comment="Raised by every write; the other half.",
        ),
        sa.Column(
            "request",
            Json,
            nullable=True,
            comment="The stored request: the same in every send.",
        ),
        sa.Column(
            "resend",
            sa.Boolean(),
            nullable=False,
            comment="In doubt, and cleared to be sent again.",
        ),
        sa.Column(
            "first_sent_at",
            UtcDateTime(),
            nullable=True,
            comment="When it could first have left; never moves.",
        ),
        sa.Column(
            "doubt_since", UtcDateTime(), nullable=True, comment="When doubt began."
        ),
        sa.Column(
            "next_check_at",
            UtcDateTime(),
            nullable=True,
            comment="When to poll or probe next.",
        ),
        sa.Column(
            "checks",
            sa.Integer(),
            nullable=False,
            comment="Questions without an answer, in a row.",
        ),
        sa.Column(
            "errors",
            sa.Integer(),
            nullable=False,
            comment="Of those, errors that use up patience, in a row.",
        ),
        sa.Column(
            "stoppable",
            sa.Boolean(),
            nullable=False,
            comment="Its command can ask the provider to stop it.",
        ),
        sa.Column(
            "undoable",
            sa.Boolean(),
            nullable=False,
            comment="Its command says how to take it back.",
        ),
        sa.Column(
            "cancel_asked_at",
            UtcDateTime(),
            nullable=True,
            comment="When the provider was last asked to stop it.",
        ),
        sa.Column(
            "seen_before",
            Json,
            nullable=True,
            comment="Class tasks: what fitted its description before it was sent.",
        ),
        sa.Column(
            "decision",
            Json,
            nullable=True,
            comment="What a person decided while it was held.",
        ),
        sa.Column(
            "ended_well",
            sa.Boolean(),
            nullable=True,
            comment="Whether its job ended well; null until it is settled.",
        ),
        sa.Column("result", Json, nullable=True, comment="What its job returned."),
        sa.Column(
            "undone_at",
            UtcDateTime(),
            nullable=True,
            comment="When it was taken back, or nothing of it was left.",
        ),
        sa.Column(
            "replaces_id",
            sa.String(length=36),
            nullable=True,
            comment="The definite failure that it retries.",
        ),
        sa.Column(
            "created_at", UtcDateTime(), nullable=False, comment="When it was promised."
        ),
        sa.Column(
            "updated_at", UtcDateTime(), nullable=False, comment="When it last changed."
        ),
        sa.ForeignKeyConstraint(
            ["task_id"],
            ["earmark_tasks.id"],
            name=op.f("fk_earmark_placeholders_task_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_earmark_placeholders")),
        comment="Promised external effects, each written down before it is asked for.",
    )
    op.create_index(
        "ix_earmark_placeholders_due",
        "earmark_placeholders",
        ["provider_id", "next_check_at"],
        unique=False,
        postgresql_where=sa.text("state IN ('bound', 'in_doubt', 'held')"),
        sqlite_where=sa.text("state IN ('bound', 'in_doubt', 'held')"),
    )
    op.create_index(
        op.f("ix_earmark_placeholders_task_id"),
        "earmark_placeholders",
        ["task_id"],
        unique=False,
    )
    op.create_table(
        "earmark_sweeps",
        sa.Column(
            "provider_id",
            sa.String(length=36),
            nullable=False,
            comment="Which provider.",
        ),
        sa.Column(
            "due_at",
            UtcDateTime(),
            nullable=True,
            comment="When the scheduler asks for the next sweep.",
        ),
        sa.Column(
            "began_at",
            UtcDateTime(),
            nullable=True,
            comment="When the listing of the newest sweep began.",
        ),
        sa.Column(
            "state",
            sa.String(length=32),
            nullable=False,
            comment="never, ok, error or unsupported.",
        ),
        sa.Column(
            "message", sa.Text(), nullable=False, comment="The words that came with it."
        ),
        sa.Column(
            "seen", sa.Integer(), nullable=False, comment="How much carries our mark."
        ),
        sa.Column(
            "others",
            sa.Integer(),
            nullable=False,
            comment="How much carries another installation's.",
        ),
        sa.Column(
            "young",
            sa.Integer(),
            nullable=False,
            comment="How much is too new to be judged.",
        ),
        sa.Column(
            "pruned",
            sa.Integer(),
            nullable=False,
            comment="How much is older than our history.",
        ),
        sa.Column(
            "missing_count",
            sa.Integer(),
            nullable=False,
            comment="How much that we made is not shown.",
        ),
        sa.Column(
            "missing", Json, nullable=False, comment="The first of those, in full."
        ),
        sa.ForeignKeyConstraint(
            ["provider_id"],
            ["earmark_providers.id"],
            name=op.f("fk_earmark_sweeps_provider_id"),
        ),
        sa.PrimaryKeyConstraint("provider_id", name=op.f("pk_earmark_sweeps")),
        comment="The newest sweep of each provider.",
    )
    op.create_table(
        "earmark_task_log",
        sa.Column(
            "task_id", sa.String(length=36), nullable=False, comment="Whose log."
        ),
        sa.Column(
            "number",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="From 1.",
        ),
        sa.Column("at", UtcDateTime(), nullable=False, comment="When it was written."),
        sa.Column(
            "level",
            sa.String(length=32),
            nullable=False,
            comment="info, warning or error.",
        ),
        sa.Column("text", sa.Text(), nullable=False, comment="The line."),
        sa.ForeignKeyConstraint(
            ["task_id"], ["earmark_tasks.id"], name=op.f("fk_earmark_task_log_task_id")
        ),
        sa.PrimaryKeyConstraint("task_id", "number", name=op.f("pk_earmark_task_log")),
        comment="A log per task, lines numbered from 1.",
    )
    op.create_table(
        "earmark_task_needs",
        sa.Column(
            "task_id", sa.String(length=36), nullable=False, comment="Who waits."
        ),
        sa.Column(
            "needs_id", sa.String(length=36), nullable=False, comment="For whom."
        ),
        sa.ForeignKeyConstraint(
            ["needs_id"],
            ["earmark_tasks.id"],
            name=op.f("fk_earmark_task_needs_needs_id"),
        ),
        sa.ForeignKeyConstraint(
            ["task_id"],
            ["earmark_tasks.id"],
            name=op.f("fk_earmark_task_needs_task_id"),
        ),
        sa.PrimaryKeyConstraint(
            "task_id", "needs_id", name=op.f("pk_earmark_task_needs")
        ),
        comment="`after=` between siblings of one plan.",
    )
    op.create_index(
        op.f("ix_earmark_task_needs_needs_id"),
        "earmark_task_needs",
        ["needs_id"],
        unique=False,
    )
    op.create_table(
        "earmark_templates",
        sa.Column("id", sa.String(length=36), nullable=False, comment="UUIDv7."),
        sa.Column(
            "provider_id",
            sa.String(length=36),
            nullable=False,
            comment="Where it lives.",
        ),
        sa.Column(
            "external_id",
            sa.String(length=200),
            nullable=False,
            comment="The provider's id of it.",
        ),
        sa.Column(
            "name", sa.String(length=200), nullable=False, comment="Its name there."
        ),
        sa.Column(
            "images", Json, nullable=False, comment="The images that it is made of."
        ),
        sa.Column(
            "vm_id",
            sa.String(length=36),
            nullable=True,
            comment="The VM that it was made from, if we made it.",
        ),
        sa.Column(
            "task_id",
            sa.String(length=36),
            nullable=True,
            comment="The task that made it, if one of ours did.",
        ),
        sa.Column(
            "observed_at",
            UtcDateTime(),
            nullable=False,
            comment="When the fetch behind this began (rule 18).",
        ),
        sa.Column(
            "command_at",
            UtcDateTime(),
            nullable=True,
            comment="When a command of ours last wrote it (rule 18).",
        ),
        sa.Column(
            "gone_at",
            UtcDateTime(),
            nullable=True,
            comment="Since when a whole listing lacks it.",
        ),
        sa.Column(
            "created_at",
            UtcDateTime(),
            nullable=False,
            comment="When we first knew of it.",
        ),
        sa.ForeignKeyConstraint(
            ["provider_id"],
            ["earmark_providers.id"],
            name=op.f("fk_earmark_templates_provider_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_earmark_templates")),
        sa.UniqueConstraint(
            "provider_id",
            "external_id",
            name=op.f("uq_earmark_templates_provider_id_external_id"),
        ),
        comment="VM templates.",
    )
    op.create_table(
        "earmark_tenants",
        sa.Column("id", sa.String(length=36), nullable=False, comment="UUIDv7."),
        sa.Column(
            "provider_id",
            sa.String(length=36),
            nullable=False,
            comment="Where it lives.",
        ),
        sa.Column(
            "external_id",
            sa.String(length=200),
            nullable=False,
            comment="The provider's id of it.",
        ),
        sa.Column(
            "name", sa.String(length=200), nullable=False, comment="Its name there."
        ),
        sa.Column(
            "description",
            sa.Text(),
            nullable=False,
            comment="What it is for, in people's words.",
        ),
        sa.Column(
            "task_id",
            sa.String(length=36),
            nullable=True,
            comment="The task that made it, if one of ours did.",
        ),
        sa.Column(
            "observed_at",
            UtcDateTime(),
            nullable=False,
            comment="When the fetch behind this began (rule 18).",
        ),
        sa.Column(
            "command_at",
            UtcDateTime(),
            nullable=True,
            comment="When a command of ours last wrote it (rule 18).",
        ),
        sa.Column(
            "gone_at",
            UtcDateTime(),
            nullable=True,
            comment="Since when a whole listing lacks it.",
        ),
        sa.Column(
            "created_at",
            UtcDateTime(),
            nullable=False,
            comment="When we first knew of it.",
        ),
        sa.ForeignKeyConstraint(
            ["provider_id"],
            ["earmark_providers.id"],
            name=op.f("fk_earmark_tenants_provider_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_earmark_tenants")),
        sa.UniqueConstraint(
            "provider_id",
            "external_id",
            name=op.f("uq_earmark_tenants_provider_id_external_id"),
        ),
        comment="Tenants: who a provider's resources are shared out to.",
    )
    op.create_table(
        "earmark_vms",
        sa.Column("id", sa.String(length=36), nullable=False, comment="UUIDv7."),
        sa.Column(
            "provider_id",
            sa.String(length=36),
            nullable=False,
            comment="Where it lives.",
        ),
        sa.Column(
            "external_id",
            sa.String(length=200),
            nullable=False,
            comment="The provider's id of it.",
        ),
        sa.Column(
            "name", sa.String(length=200), nullable=False, comment="Its name there."
        ),
        sa.Column(
            "power_state",
            sa.String(length=32),
            nullable=False,
            comment="As last observed.",
        ),
        sa.Column(
            "observed_at",
            UtcDateTime(),
            nullable=False,
            comment="When the fetch behind this began (rule 18).",
        ),
        sa.Column(
            "command_at",
            UtcDateTime(),
            nullable=True,
            comment="When a command of ours last saw it (rule 18).",
        ),
        sa.Column(
            "gone_at",
            UtcDateTime(),
            nullable=True,
            comment="Since when a whole listing lacks it.",
        ),
        sa.Column(
            "version",
            sa.Integer(),
            nullable=False,
            comment="Raised by every visible change.",
        ),
        sa.ForeignKeyConstraint(
            ["provider_id"],
            ["earmark_providers.id"],
            name=op.f("fk_earmark_vms_provider_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_earmark_vms")),
        sa.UniqueConstraint(
            "provider_id",
            "external_id",
            name=op.f("uq_earmark_vms_provider_id_external_id"),
        ),
        comment="Virtual machines, as last observed.",
    )
    op.create_index(op.f("ix_earmark_vms_name"), "earmark_vms", ["name"], unique=False)
    op.create_table(
        "earmark_disks",
        sa.Column("id", sa.String(length=36), nullable=False, comment="UUIDv7."),
        sa.Column("vm_id", sa.String(length=36), nullable=False, comment="Whose disk."),
        sa.Column(
            "external_id",
            sa.String(length=200),
            nullable=False,
            comment="The provider's id of it.",
        ),
        sa.Column(
            "position",
            sa.Integer(),
            nullable=False,
            comment="Its place among the VM's disks.",
        ),
        sa.Column(
            "alias", sa.String(length=200), nullable=False, comment="Its name there."
        ),
        sa.Column(
            "image",
            sa.String(length=200),
            nullable=False,
            comment="What a copy starts from.",
        ),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False, comment="Its size."),
        sa.Column(
            "domain",
            sa.String(length=200),
            nullable=False,
            comment="Where it is stored.",
        ),
        sa.ForeignKeyConstraint(
            ["vm_id"], ["earmark_vms.id"], name=op.f("fk_earmark_disks_vm_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_earmark_disks")),
        comment="Disks of VMs, as last observed.",
    )
    op.create_index(
        op.f("ix_earmark_disks_vm_id"), "earmark_disks", ["vm_id"], unique=False
    )
    op.create_table(
        "earmark_evidence",
        sa.Column("id", sa.String(length=36), nullable=False, comment="UUIDv7."),
        sa.Column(
            "placeholder_id",
            sa.String(length=36),
            nullable=False,
            comment="About which effect.",
        ),
        sa.Column("at", UtcDateTime(), nullable=False, comment="When it was seen."),
        sa.Column(
            "kind",
            sa.String(length=32),
            nullable=False,
            comment="sent, reply, error, probe, late, recovered …",
        ),
        sa.Column(
            "nonce",
            sa.String(length=36),
            nullable=True,
            comment="Which send it belongs to.",
        ),
        sa.Column(
            "external_id",
            sa.Text(),
            nullable=True,
            comment="The handle that it names, if any.",
        ),
        sa.Column(
            "text", sa.Text(), nullable=False, comment="What was seen, in words."
        ),
        sa.ForeignKeyConstraint(
            ["placeholder_id"],
            ["earmark_placeholders.id"],
            name=op.f("fk_earmark_evidence_placeholder_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_earmark_evidence")),
        comment="What is known of each effect, late answers included; never fenced.",
    )
    op.create_index(
        op.f("ix_earmark_evidence_placeholder_id"),
        "earmark_evidence",
        ["placeholder_id"],
        unique=False,
    )
    op.create_table(
        "earmark_sends",
        sa.Column(
            "nonce", sa.String(length=36), nullable=False, comment="New for every send."
        ),
        sa.Column(
            "placeholder_id",
            sa.String(length=36),
            nullable=False,
            comment="Which effect it asks for.",
        ),
        sa.Column(
            "sender_id",
            sa.String(length=36),
            nullable=False,
            comment="The worker that sends.",
        ),
        sa.Column(
            "sent_at",
            UtcDateTime(),
            nullable=False,
            comment="From when on it can have left.",
        ),
        sa.Column(
            "over_at",
            UtcDateTime(),
            nullable=True,
            comment="Since when this sender can send it no more (rule 1).",
        ),
        sa.Column(
            "answered",
            sa.Boolean(),
            nullable=False,
            comment="The provider answered it: it has landed.",
        ),
        sa.Column(
            "refusal", Json, nullable=True, comment="A definite no: its code and text."
        ),
        sa.ForeignKeyConstraint(
            ["placeholder_id"],
            ["earmark_placeholders.id"],
            name=op.f("fk_earmark_sends_placeholder_id"),
        ),
        sa.PrimaryKeyConstraint("nonce", name=op.f("pk_earmark_sends")),
        comment="Every send of every effect: whether it can still land.",
    )
    op.create_index(
        "ix_earmark_sends_open",
        "earmark_sends",
        ["sender_id"],
        unique=False,
        postgresql_where=sa.text("over_at IS NULL"),
        sqlite_where=sa.text("over_at IS NULL"),
    )
    op.create_index(
        op.f("ix_earmark_sends_placeholder_id"),
        "earmark_sends",
        ["placeholder_id"],
        unique=False,
    )
    op.create_table(
        "earmark_snapshots",
        sa.Column("id", sa.String(length=36), nullable=False, comment="UUIDv7."),
        sa.Column(
            "provider_id",
            sa.String(length=36),
            nullable=False,
            comment="Where it lives.",
        ),
        sa.Column(
            "vm_id",
            sa.String(length=36),
            nullable=False,
            comment="The VM that it was taken of.",
        ),
        sa.Column(
            "external_id",
            sa.String(length=200),
            nullable=False,
            comment="The provider's id of it.",
        ),
        sa.Column(
            "name", sa.String(length=200), nullable=False, comment="Its name there."
        ),
        sa.Column(
            "observed_at",
            UtcDateTime(),
            nullable=False,
            comment="When the fetch behind this began (rule 18).",
        ),
        sa.Column(
            "command_at",
            UtcDateTime(),
            nullable=True,
            comment="When a command of ours last wrote it (rule 18).",
        ),
        sa.Column(
            "gone_at",
            UtcDateTime(),
            nullable=True,
            comment="Since when a whole listing lacks it.",
        ),
        sa.Column(
            "created_at",
            UtcDateTime(),
            nullable=False,
            comment="When we first knew of it.",
        ),
        sa.ForeignKeyConstraint(
            ["provider_id"],
            ["earmark_providers.id"],
            name=op.f("fk_earmark_snapshots_provider_id"),
        ),
        sa.ForeignKeyConstraint(
            ["vm_id"], ["earmark_vms.id"], name=op.f("fk_earmark_snapshots_vm_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_earmark_snapshots")),
        sa.UniqueConstraint(
            "provider_id",
            "external_id",
            name=op.f("uq_earmark_snapshots_provider_id_external_id"),
        ),
        comment="Snapshots of VMs.",
    )
    op.create_index(
        op.f("ix_earmark_snapshots_vm_id"), "earmark_snapshots", ["vm_id"], unique=False
    )


def downgrade() -> None:
    """Take back."""
    op.drop_index(op.f("ix_earmark_snapshots_vm_id"), table_name="earmark_snapshots")
    op.drop_table("earmark_snapshots")
    op.drop_index(op.f("ix_earmark_sends_placeholder_id"), table_name="earmark_sends")
    op.drop_index(
        "ix_earmark_sends_open",
        table_name="earmark_sends",
        postgresql_where=sa.text("over_at IS NULL"),
        sqlite_where=sa.text("over_at IS NULL"),
    )
    op.drop_table("earmark_sends")
    op.drop_index(
        op.f("ix_earmark_evidence_placeholder_id"), table_name="earmark_evidence"
    )
    op.drop_table("earmark_evidence")
    op.drop_index(op.f("ix_earmark_disks_vm_id"), table_name="earmark_disks")
    op.drop_table("earmark_disks")
    op.drop_index(op.f("ix_earmark_vms_name"), table_name="earmark_vms")
    op.drop_table("earmark_vms")
    op.drop_table("earmark_tenants")
    op.drop_table("earmark_templates")
    op.drop_index(
        op.f("ix_earmark_task_needs_needs_id"), table_name="earmark_task_needs"
    )
    op.drop_table("earmark_task_needs")
    op.drop_table("earmark_task_log")
    op.drop_table("earmark_sweeps")
    op.drop_index(
        op.f("ix_earmark_placeholders_task_id"), table_name="earmark_placeholders"
    )
    op.drop_index(
        "ix_earmark_placeholders_due",
        table_name="earmark_placeholders",
        postgresql_where=sa.text("state IN ('bound', 'in_doubt', 'held')"),
        sqlite_where=sa.text("state IN ('bound', 'in_doubt', 'held')"),
    )
    op.drop_table("earmark_placeholders")
    op.drop_index(
        "ix_earmark_orphans_token",
        table_name="earmark_orphans",
        postgresql_where=sa.text("state = 'open'"),
        sqlite_where=sa.text("state = 'open'"),
    )
    op.drop_index(
        "ix_earmark_orphans_open",
        table_name="earmark_orphans",
        postgresql_where=sa.text("state = 'open'"),
        sqlite_where=sa.text("state = 'open'"),
    )
    op.drop_table("earmark_orphans")
    op.drop_index(
        op.f("ix_earmark_notifications_task_id"), table_name="earmark_notifications"
    )
    op.drop_index(
        "ix_earmark_notifications_shown",
        table_name="earmark_notifications",
        postgresql_where=sa.text("ended_at IS NOT NULL AND dismissed_at IS NULL"),
        sqlite_where=sa.text("ended_at IS NOT NULL AND dismissed_at IS NULL"),
    )
    op.drop_table("earmark_notifications")
    op.drop_index("ix_earmark_locks_root", table_name="earmark_locks")
    op.drop_table("earmark_locks")
    op.drop_index("ix_earmark_lock_queue_root", table_name="earmark_lock_queue")
    op.drop_table("earmark_lock_queue")
    op.drop_table("earmark_zones")
    op.drop_index("ix_earmark_workers_state", table_name="earmark_workers")
    op.drop_table("earmark_workers")
    op.drop_table("earmark_tombstones")
    op.drop_index(
        "ix_earmark_tasks_zone",
        table_name="earmark_tasks",
        postgresql_where=sa.text("parent_id IS NULL AND finished_at IS NOT NULL"),
        sqlite_where=sa.text("parent_id IS NULL AND finished_at IS NOT NULL"),
    )
    op.drop_index(
        "ix_earmark_tasks_undoes",
        table_name="earmark_tasks",
        postgresql_where=sa.text("undoes_id IS NOT NULL"),
        sqlite_where=sa.text("undoes_id IS NOT NULL"),
    )
    op.drop_index("ix_earmark_tasks_state", table_name="earmark_tasks")
    op.drop_index(
        "ix_earmark_tasks_start_by",
        table_name="earmark_tasks",
        postgresql_where=sa.text("start_by IS NOT NULL AND state = 'queued'"),
        sqlite_where=sa.text("start_by IS NOT NULL AND state = 'queued'"),
    )
    op.drop_index(
        "ix_earmark_tasks_running",
        table_name="earmark_tasks",
        postgresql_where=sa.text("state = 'running'"),
        sqlite_where=sa.text("state = 'running'"),
    )
    op.drop_index(
        "ix_earmark_tasks_roots",
        table_name="earmark_tasks",
        postgresql_where=sa.text("parent_id IS NULL"),
        sqlite_where=sa.text("parent_id IS NULL"),
    )
    op.drop_index("ix_earmark_tasks_root", table_name="earmark_tasks")
    op.drop_index(
        "ix_earmark_tasks_retry_of",
        table_name="earmark_tasks",
        postgresql_where=sa.text("retry_of IS NOT NULL"),
        sqlite_where=sa.text("retry_of IS NOT NULL"),
    )
    op.drop_index(
        "ix_earmark_tasks_parent",
        table_name="earmark_tasks",
        postgresql_where=sa.text("parent_id IS NOT NULL"),
        sqlite_where=sa.text("parent_id IS NOT NULL"),
    )
    op.drop_index(
        "ix_earmark_tasks_pace_alone",
        table_name="earmark_tasks",
        postgresql_where=sa.text("outcome = 'ok' AND provider_id IS NULL"),
        sqlite_where=sa.text("outcome = 'ok' AND provider_id IS NULL"),
    )
    op.drop_index(
        "ix_earmark_tasks_pace",
        table_name="earmark_tasks",
        postgresql_where=sa.text("outcome = 'ok' AND provider_id IS NOT NULL"),
        sqlite_where=sa.text("outcome = 'ok' AND provider_id IS NOT NULL"),
    )
    op.drop_index(
        "ix_earmark_tasks_owner",
        table_name="earmark_tasks",
        postgresql_where=sa.text("parent_id IS NULL AND finished_at IS NOT NULL"),
        sqlite_where=sa.text("parent_id IS NULL AND finished_at IS NOT NULL"),
    )
    op.drop_index(
        "ix_earmark_tasks_outcome",
        table_name="earmark_tasks",
        postgresql_where=sa.text("parent_id IS NULL AND finished_at IS NOT NULL"),
        sqlite_where=sa.text("parent_id IS NULL AND finished_at IS NOT NULL"),
    )
    op.drop_index("ix_earmark_tasks_object", table_name="earmark_tasks")
    op.drop_index(
        "ix_earmark_tasks_ended",
        table_name="earmark_tasks",
        postgresql_where=sa.text("parent_id IS NULL AND finished_at IS NOT NULL"),
        sqlite_where=sa.text("parent_id IS NULL AND finished_at IS NOT NULL"),
    )
    op.drop_index(
        "ix_earmark_tasks_end_by",
        table_name="earmark_tasks",
        postgresql_where=sa.text("end_by IS NOT NULL AND state <> 'done'"),
        sqlite_where=sa.text("end_by IS NOT NULL AND state <> 'done'"),
    )
    op.drop_index(
        "ix_earmark_tasks_due",
        table_name="earmark_tasks",
        postgresql_where=sa.text("state = 'queued'"),
        sqlite_where=sa.text("state = 'queued'"),
    )
    op.drop_index(
        "ix_earmark_tasks_command",
        table_name="earmark_tasks",
        postgresql_where=sa.text("parent_id IS NULL AND finished_at IS NOT NULL"),
        sqlite_where=sa.text("parent_id IS NULL AND finished_at IS NOT NULL"),
    )
    op.drop_index(
        "ix_earmark_tasks_claim",
        table_name="earmark_tasks",
        postgresql_where=sa.text("state = 'queued'"),
        sqlite_where=sa.text("state = 'queued'"),
    )
    op.drop_index(
        "ix_earmark_tasks_busy",
        table_name="earmark_tasks",
        postgresql_where=sa.text("finished_at IS NULL"),
        sqlite_where=sa.text("finished_at IS NULL"),
    )
    op.drop_table("earmark_tasks")
    op.drop_index(op.f("ix_earmark_secrets_task_id"), table_name="earmark_secrets")
    op.drop_table("earmark_secrets")
    op.drop_table("earmark_providers")
    op.drop_table("earmark_provider_drafts")
    op.drop_table("earmark_leases")
    op.drop_table("earmark_installation")
    op.drop_index(
        op.f("ix_earmark_idempotency_task_id"), table_name="earmark_idempotency"
    )
    op.drop_table("earmark_idempotency")
    op.drop_index(op.f("ix_earmark_consoles_vm_id"), table_name="earmark_consoles")
    op.drop_table("earmark_consoles")
    op.drop_table("earmark_clock")
    op.drop_index(op.f("ix_earmark_audit_task_id"), table_name="earmark_audit")
    op.drop_table("earmark_audit")
