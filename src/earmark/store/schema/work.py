"""What was asked for: tasks, their order, their logs, their locks, their keys."""

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
    column(
        "retry_of",
        Id,
        "The ended task that a person asked to try again.",
        nullable=True,
        to="earmark_tasks.id",
    ),
    column(
        "undoes_id",
        Id,
        "The effect that it takes back, as a part of its root's undo.",
        nullable=True,
    ),
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
    column("step", Word, "What a worker is to do next: run, finish or undo."),
    column("outcome", Word, "How it ended; null until it is done.", nullable=True),
    column(
        "verdict", Word, "Fixed by the first failure among the children.", nullable=True
    ),
    column("progress", sa.Integer, "0 to 100."),
    column("message", sa.Text, "One line on how it stands or ended."),
    json("result", "What it returned.", nullable=True),
    json("error", "{code, message} when it ended badly.", nullable=True),
    column("attempt", sa.Integer, "Raised by every claim; half of the fence."),
    column("tries", sa.Integer, "How many attempts came past their plan."),
    column("recoveries", sa.Integer, "How often a worker was lost under it."),
    column("pending", sa.Integer, "Children or predecessors not ended yet."),
    column("stop_requested", sa.Boolean, "Nothing of it is to be sent any more."),
    column("cancelled_by", Name, "Who asked to cancel it, if anybody.", nullable=True),
    column("on_restart", Word, "When a worker is lost under it: resume, or fail."),
    column(
        "restored",
        sa.Boolean,
        "Its effects are looked for before they are sent (rule 15).",
    ),
    column("worker_id", Id, "Who runs it now, or ran it last.", nullable=True),
    instant("run_after", "Not claimed before this."),
    maybe_instant("deadline_at", "When the call under way counts as hung (rule 6)."),
    maybe_instant("start_by", "Expires when it has not been claimed by then."),
    maybe_instant("end_by", "Is asked to stop when it has not ended by then."),
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
        "ix_earmark_tasks_start_by",
        "start_by",
        where="start_by IS NOT NULL AND state = 'queued'",
    ),
    partial_index(
        "ix_earmark_tasks_end_by",
        "end_by",
        where="end_by IS NOT NULL AND state <> 'done'",
    ),
    partial_index(
        "ix_earmark_tasks_retry_of",
        "retry_of",
        where="retry_of IS NOT NULL",
    ),
    partial_index(
        "ix_earmark_tasks_undoes",
        "undoes_id",
        where="undoes_id IS NOT NULL",
    ),
    partial_index(
        "ix_earmark_tasks_roots",
        "id",
        where="parent_id IS NULL",
    ),
    partial_index(
        "ix_earmark_tasks_ended",
        "finished_at",
        "id",
        where="parent_id IS NULL AND finished_at IS NOT NULL",
    ),
    # What is rare in a long history, and still found at once. Of the ended only: a
    # claim writes none of these, the end of a root writes each once.
    *(
        partial_index(
            f"ix_earmark_tasks_{name}",
            name,
            "id",
            where="parent_id IS NULL AND finished_at IS NOT NULL",
        )
        for name in ("outcome", "command", "owner", "zone")
    ),
    # Without the roots: SQLite would look for those here, and then sort them all.
    partial_index(
        "ix_earmark_tasks_parent",
        "parent_id",
        "key",
        where="parent_id IS NOT NULL",
    ),
    # How long past runs took, the newest first; two, since not every planner reads a
    # column that IS NULL in the order of the next one.
    partial_index(
        "ix_earmark_tasks_pace",
        "command",
        "provider_id",
        "id",
        where="outcome = 'ok' AND provider_id IS NOT NULL",
    ),
    partial_index(
        "ix_earmark_tasks_pace_alone",
        "command",
        "id",
        where="outcome = 'ok' AND provider_id IS NULL",
    ),
    # Who is busy with what: what was done before is no concern of it.
    partial_index(
        "ix_earmark_tasks_busy",
        "object_kind",
        "object_id",
        where="finished_at IS NULL",
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

lock_queue = sa.Table(
    "earmark_lock_queue",
    metadata,
    column("kind", Word, "What kind of thing it waits for.", primary_key=True),
    column("name", Name, "Which one.", primary_key=True),
    column(
        "root_id",
        Id,
        "The root that waits; the order of ids is the order of the queue.",
        primary_key=True,
        to="earmark_tasks.id",
    ),
    column("mode", Word, "shared or exclusive."),
    instant("since", "When it began to wait."),
    sa.Index("ix_earmark_lock_queue_root", "root_id"),
    comment="Roots that hold nothing and wait for locks, first come, first served.",
)

idempotency = sa.Table(
    "earmark_idempotency",
    metadata,
    column("owner", Name, "Who sent the key.", primary_key=True),
    column("key", Name, "The key.", primary_key=True),
    column("body_hash", sa.String(64), "SHA-256 of the request."),
    # No reference: the key outlives a task that was deleted.
    column("task_id", Id, "What it made.", index=True),
    instant("created_at", "When it came first."),
    comment="Keys that make a repeated request harmless (rule 20).",
)

notifications = sa.Table(
    "earmark_notifications",
    metadata,
    key("UUIDv7."),
    column("owner", Name, "Who wants to know how the task ends."),
    column(
        "task_id",
        Id,
        "The task; they are deleted with it.",
        to="earmark_tasks.id",
        fk={"ondelete": "CASCADE"},
        index=True,
    ),
    column("next", Name, "The continuation that the end leads to."),
    instant("created_at", "When it was asked for."),
    maybe_instant("ended_at", "When the task ended: from then on it is shown."),
    maybe_instant("read_at", "When it was read."),
    maybe_instant(
        "dismissed_at",
        "When it was dismissed, or read if it is a good one.",
    ),
    sa.UniqueConstraint("owner", "task_id"),
    partial_index(
        "ix_earmark_notifications_shown",
        "owner",
        "ended_at",
        "id",
        where="ended_at IS NOT NULL AND dismissed_at IS NULL",
    ),
    comment="Ends of tasks that somebody wants to be told of.",
)

tombstones = sa.Table(
    "earmark_tombstones",
    metadata,
    column(
        "token", Id, "The id of a root, or of an effect: its token.", primary_key=True
    ),
    column("provider_id", Id, "Where the effect was; null: a root.", nullable=True),
    instant("at", "When its task ended."),
    column("what", sa.Text, "How it ended, and what it was."),
    comment="What is left of deleted tasks, so that nothing they made is a riddle.",
)
