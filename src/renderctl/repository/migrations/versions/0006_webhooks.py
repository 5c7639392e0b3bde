"""Webhooks, and the outbox of what they are told."""

import sqlalchemy as sa

from renderctl.repository.migrations import steps

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    steps.create_table(
        "webhook",
        sa.Column("id", sa.String(length=20), nullable=False),
        sa.Column("url", sa.String(length=2000), nullable=False),
        sa.Column("secret", sa.String(length=64), nullable=False),
        sa.Column("project", sa.String(length=255), nullable=False),
        sa.Column("job_id", sa.String(length=20), nullable=True),
        sa.Column("events", sa.JSON(), nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("created_at", steps.TIME, nullable=False),
        sa.Column("failing_since", steps.TIME, nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    steps.create_index("ix_webhook_job_id", "webhook", ["job_id"])
    steps.create_index("ix_webhook_project", "webhook", ["project", "job_id"])
    steps.create_table(
        "delivery",
        sa.Column("id", sa.String(length=24), nullable=False),
        sa.Column("webhook_id", sa.String(length=20), nullable=False),
        sa.Column("event", sa.String(length=32), nullable=False),
        sa.Column("job_id", sa.String(length=20), nullable=True),
        sa.Column("at", steps.TIME, nullable=False),
        sa.Column("told", sa.JSON(), nullable=False),
        sa.Column("body", steps.LONG_TEXT, nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("due_at", steps.TIME, nullable=True),
        sa.Column("tried_at", steps.TIME, nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("error", sa.String(length=255), nullable=True),
        sa.Column("answer", sa.String(length=255), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    steps.create_index("ix_delivery_due", "delivery", ["webhook_id", "state", "due_at"])
    steps.create_index("ix_delivery_state", "delivery", ["state", "tried_at"])


def downgrade() -> None:
    steps.drop_table("delivery")
    steps.drop_table("webhook")
