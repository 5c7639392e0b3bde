"""People: users, projects and what lets them in; whose a model is; the audit log as a chain."""

import sqlalchemy as sa
from alembic import op

from renderctl.repository.migrations import steps

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    steps.add_column("model", sa.Column("project", sa.String(length=255), nullable=False, server_default="default"))
    steps.create_index("ux_model_version", "model", ["project", "name", "version"], unique=True)
    steps.drop_index("ux_model_name_version", "model")
    _audit()
    _people()
    _doors()


def downgrade() -> None:
    for table in ("guess", "invitation", "web_session", "token", "member", "project", "user", "audit_head"):
        steps.drop_table(table)
    steps.drop_index("ix_audit_actor", "audit")
    steps.drop_index("ix_audit_seq", "audit")
    for column in ("mac", "signature", "key_id", "seq", "outcome", "address", "via"):
        steps.drop_column("audit", column)
    steps.create_index("ux_model_name_version", "model", ["name", "version"], unique=True)
    steps.drop_index("ux_model_version", "model")
    steps.drop_column("model", "project")


def _audit() -> None:
    steps.add_column("audit", sa.Column("via", sa.String(length=16), nullable=True))
    steps.add_column("audit", sa.Column("address", sa.String(length=255), nullable=True))
    steps.add_column("audit", sa.Column("outcome", sa.String(length=16), nullable=True))
    steps.add_column("audit", sa.Column("seq", sa.BigInteger(), nullable=True))
    steps.add_column("audit", sa.Column("key_id", sa.String(length=16), nullable=True))
    steps.add_column("audit", sa.Column("signature", sa.String(length=64), nullable=True))
    steps.add_column("audit", sa.Column("mac", sa.String(length=64), nullable=True))
    op.execute("UPDATE audit SET seq = -id WHERE seq IS NULL AND key_id IS NULL")
    steps.create_index("ix_audit_seq", "audit", ["seq"], unique=True)
    steps.create_index("ix_audit_actor", "audit", ["actor"])
    steps.create_table(
        "audit_head",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("mac", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def _people() -> None:
    steps.create_table(
        "user",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("password", sa.String(length=255), nullable=True),
        sa.Column("created_at", steps.TIME, nullable=False),
        sa.Column("disabled_at", steps.TIME, nullable=True),
        sa.PrimaryKeyConstraint("name"),
    )
    steps.create_table(
        "project",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("pools", sa.JSON(), nullable=False),
        sa.Column("created_at", steps.TIME, nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    steps.create_table(
        "member",
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("user", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["project"], ["project.name"]),
        sa.ForeignKeyConstraint(["user"], ["user.name"]),
        sa.PrimaryKeyConstraint("project", "user"),
    )
    steps.create_index("ix_member_user", "member", ["user"])


def _doors() -> None:
    steps.create_table(
        "token",
        sa.Column("id", sa.String(length=20), nullable=False),
        sa.Column("user", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("scope", sa.String(length=16), nullable=False),
        sa.Column("created_at", steps.TIME, nullable=False),
        sa.Column("expires_at", steps.TIME, nullable=True),
        sa.Column("revoked_at", steps.TIME, nullable=True),
        sa.Column("used_at", steps.TIME, nullable=True),
        sa.Column("refused_at", steps.TIME, nullable=True),
        sa.ForeignKeyConstraint(["user"], ["user.name"]),
        sa.PrimaryKeyConstraint("id"),
    )
    steps.create_index("ix_token_user", "token", ["user"])
    steps.create_index("ix_token_digest", "token", ["digest"], unique=True)
    steps.create_table(
        "web_session",
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("user", sa.String(length=64), nullable=False),
        sa.Column("csrf", sa.String(length=64), nullable=False),
        sa.Column("address", sa.String(length=255), nullable=True),
        sa.Column("created_at", steps.TIME, nullable=False),
        sa.Column("expires_at", steps.TIME, nullable=False),
        sa.ForeignKeyConstraint(["user"], ["user.name"]),
        sa.PrimaryKeyConstraint("digest"),
    )
    steps.create_index("ix_web_session_user", "web_session", ["user"])
    steps.create_index("ix_web_session_expires_at", "web_session", ["expires_at"])
    steps.create_table(
        "invitation",
        sa.Column("id", sa.String(length=20), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("projects", sa.JSON(), nullable=False),
        sa.Column("created_by", sa.String(length=255), nullable=False),
        sa.Column("created_at", steps.TIME, nullable=False),
        sa.Column("expires_at", steps.TIME, nullable=False),
        sa.Column("used_by", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    steps.create_index("ix_invitation_digest", "invitation", ["digest"], unique=True)
    steps.create_table(
        "guess",
        sa.Column("whose", sa.String(length=255), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("last_at", steps.TIME, nullable=False),
        sa.PrimaryKeyConstraint("whose"),
    )
    steps.create_index("ix_guess_last_at", "guess", ["last_at"])
