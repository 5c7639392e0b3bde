"""The first schema."""

import sqlalchemy as sa

from renderctl.repository.migrations import steps

revision = "0001"
down_revision = None


def upgrade() -> None:
    _models()
    _jobs()
    _tasks()
    _attempts()
    _outputs()
    _workers()
    _journal()


def downgrade() -> None:
    for table in (
        "audit",
        "lease",
        "worker_pool",
        "worker",
        "output",
        "attempt",
        "task",
        "job_dependency",
        "job_input",
        "job",
        "model_input",
        "model",
    ):
        steps.drop_table(table)


def _models() -> None:
    steps.create_table(
        "model",
        sa.Column("id", sa.String(length=20), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("created_at", steps.TIME, nullable=False),
        sa.Column("main", steps.LONG_TEXT, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("files", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    steps.create_index("ix_model_digest", "model", ["digest"])
    steps.create_index("ux_model_name_version", "model", ["name", "version"], unique=True)
    steps.create_table(
        "model_input",
        sa.Column("id", steps.BIG_KEY, nullable=False),
        sa.Column("model_id", sa.String(length=20), nullable=False),
        sa.Column("path", steps.LONG_TEXT, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    steps.create_index("ix_model_input_digest", "model_input", ["digest"])
    steps.create_index("ix_model_input_model_id", "model_input", ["model_id"])


def _jobs() -> None:
    steps.create_table(
        "job",
        sa.Column("id", sa.String(length=20), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("model_id", sa.String(length=20), nullable=False),
        sa.Column("model", sa.String(length=255), nullable=False),
        sa.Column("options", sa.JSON(), nullable=False),
        sa.Column("frames", steps.LONG_TEXT, nullable=False),
        sa.Column("cameras", sa.JSON(), nullable=False),
        sa.Column("project", sa.String(length=255), nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("pool", sa.String(length=255), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("max_slots", sa.Integer(), nullable=True),
        sa.Column("max_attempts", sa.Integer(), nullable=False),
        sa.Column("frame_timeout_s", sa.Double(), nullable=True),
        sa.Column("in_order", sa.Boolean(), nullable=False),
        sa.Column("bound_to", sa.String(length=255), nullable=True),
        sa.Column("serial", sa.Integer(), nullable=False),
        sa.Column("created_at", steps.TIME, nullable=False),
        sa.Column("started_at", steps.TIME, nullable=True),
        sa.Column("finished_at", steps.TIME, nullable=True),
        sa.Column("served_at", steps.TIME, nullable=True),
        sa.Column("nudged_at", steps.TIME, nullable=True),
        sa.Column("nudges", sa.Integer(), nullable=False),
        sa.Column("error", steps.LONG_TEXT, nullable=True),
        sa.Column("notes", sa.JSON(), nullable=False),
        sa.Column("idempotency_key", sa.String(length=255), nullable=True),
        sa.Column("request_digest", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(["model_id"], ["model.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    steps.create_index("ix_job_model_id", "job", ["model_id"])
    steps.create_index("ix_job_name", "job", ["name"])
    steps.create_index("ix_job_turn", "job", ["state", "priority", "served_at"])
    steps.create_index("ux_job_idempotency", "job", ["owner", "idempotency_key"], unique=True)
    steps.create_table(
        "job_input",
        sa.Column("id", steps.BIG_KEY, nullable=False),
        sa.Column("job_id", sa.String(length=20), nullable=False),
        sa.Column("path", steps.LONG_TEXT, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    steps.create_index("ix_job_input_digest", "job_input", ["digest"])
    steps.create_index("ix_job_input_job_id", "job_input", ["job_id"])
    steps.create_table(
        "job_dependency",
        sa.Column("job_id", sa.String(length=20), nullable=False),
        sa.Column("after_id", sa.String(length=20), nullable=False),
        sa.ForeignKeyConstraint(["after_id"], ["job.id"]),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"]),
        sa.PrimaryKeyConstraint("job_id", "after_id"),
    )
    steps.create_index("ix_job_dependency_after_id", "job_dependency", ["after_id"])


def _tasks() -> None:
    steps.create_table(
        "task",
        sa.Column("job_id", sa.String(length=20), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("frame", sa.Integer(), nullable=False),
        sa.Column("camera", sa.String(length=255), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("attempt_id", sa.String(length=24), nullable=True),
        sa.Column("not_before", steps.TIME, nullable=True),
        sa.Column("error", steps.LONG_TEXT, nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["job.id"]),
        sa.PrimaryKeyConstraint("job_id", "number"),
    )
    steps.create_index("ix_task_claim", "task", ["job_id", "state", "number"])


def _attempts() -> None:
    steps.create_table(
        "attempt",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("job_id", sa.String(length=20), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("worker_id", sa.String(length=255), nullable=False),
        sa.Column("incarnation", sa.String(length=24), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("claimed_at", steps.TIME, nullable=False),
        sa.Column("seen_at", steps.TIME, nullable=False),
        sa.Column("started_at", steps.TIME, nullable=True),
        sa.Column("ended_at", steps.TIME, nullable=True),
        sa.Column("progress", sa.Double(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=True),
        sa.Column("memory_mb", sa.Double(), nullable=True),
        sa.Column("device", sa.String(length=255), nullable=True),
        sa.Column("fault", sa.String(length=16), nullable=True),
        sa.Column("error", steps.LONG_TEXT, nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    steps.create_index("ix_attempt_stale", "attempt", ["state", "seen_at"])
    steps.create_index("ix_attempt_task", "attempt", ["job_id", "number"])
    steps.create_index("ix_attempt_worker", "attempt", ["worker_id", "state"])


def _outputs() -> None:
    steps.create_table(
        "output",
        sa.Column("id", steps.BIG_KEY, nullable=False),
        sa.Column("job_id", sa.String(length=20), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("attempt_id", sa.String(length=24), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("frame", sa.Integer(), nullable=False),
        sa.Column("camera", sa.String(length=255), nullable=True),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=True),
        sa.Column("height", sa.Integer(), nullable=True),
        sa.Column("device", sa.String(length=255), nullable=True),
        sa.Column("created_at", steps.TIME, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    steps.create_index("ix_output_digest", "output", ["digest"])
    steps.create_index("ux_output_name", "output", ["job_id", "number", "name"], unique=True)


def _workers() -> None:
    steps.create_table(
        "worker",
        sa.Column("id", sa.String(length=255), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("incarnation", sa.String(length=24), nullable=False),
        sa.Column("slots", sa.Integer(), nullable=False),
        sa.Column("capabilities", sa.JSON(), nullable=False),
        sa.Column("started_at", steps.TIME, nullable=False),
        sa.Column("seen_at", steps.TIME, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    steps.create_index("ix_worker_state", "worker", ["state"])
    steps.create_table(
        "worker_pool",
        sa.Column("worker_id", sa.String(length=255), nullable=False),
        sa.Column("pool", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(["worker_id"], ["worker.id"]),
        sa.PrimaryKeyConstraint("worker_id", "pool"),
    )
    steps.create_index("ix_worker_pool_pool", "worker_pool", ["pool"])


def _journal() -> None:
    steps.create_table(
        "lease",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("holder", sa.String(length=255), nullable=False),
        sa.Column("since", steps.TIME, nullable=False),
        sa.Column("until", steps.TIME, nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    steps.create_table(
        "audit",
        sa.Column("id", steps.BIG_KEY, nullable=False),
        sa.Column("at", steps.TIME, nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
    )
    steps.create_index("ix_audit_at", "audit", ["at"])
    steps.create_index("ix_audit_subject", "audit", ["subject"])
