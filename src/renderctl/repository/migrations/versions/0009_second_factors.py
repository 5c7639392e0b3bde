"""From where users were let in, second factors, and why a job is paused."""

import sqlalchemy as sa

from renderctl.repository.migrations import steps

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    steps.create_table(
        "known_origin",
        sa.Column("user", sa.String(length=64), nullable=False),
        sa.Column("origin", sa.String(length=80), nullable=False),
        sa.Column("seen_at", steps.TIME, nullable=False),
        sa.ForeignKeyConstraint(["user"], ["user.name"]),
        sa.PrimaryKeyConstraint("user", "origin"),
    )
    steps.create_index("ix_known_origin_origin", "known_origin", ["origin"])
    steps.create_table(
        "totp",
        sa.Column("user", sa.String(length=64), nullable=False),
        sa.Column("secret", sa.String(length=64), nullable=False),
        sa.Column("created_at", steps.TIME, nullable=False),
        sa.Column("confirmed_at", steps.TIME, nullable=True),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["user"], ["user.name"]),
        sa.PrimaryKeyConstraint("user"),
    )
    steps.create_table(
        "recovery_code",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("user", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["user"], ["user.name"]),
        sa.PrimaryKeyConstraint("digest"),
    )
    steps.create_index("ix_recovery_code_user", "recovery_code", ["user"])
    steps.add_column("job", sa.Column("pause_reason", sa.String(length=255), nullable=True))


def downgrade() -> None:
    steps.drop_column("job", "pause_reason")
    for table in ("recovery_code", "totp", "known_origin"):
        steps.drop_table(table)
