"""Accounts: log-ins from browsers that can be named and ended, invitations that can be withdrawn."""

import sqlalchemy as sa
from alembic import op

from renderctl.core.ids import new_id
from renderctl.repository.migrations import steps

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    steps.add_column("web_session", sa.Column("id", sa.String(length=20), nullable=True))
    steps.add_column("web_session", sa.Column("seen_at", steps.TIME, nullable=True))
    steps.add_column("web_session", sa.Column("seen_from", sa.String(length=255), nullable=True))
    _name_sessions()
    steps.create_index("ix_web_session_id", "web_session", ["id"], unique=True)
    steps.add_column("invitation", sa.Column("withdrawn_at", steps.TIME, nullable=True))


def downgrade() -> None:
    steps.drop_column("invitation", "withdrawn_at")
    steps.drop_index("ix_web_session_id", "web_session")
    for column in ("seen_from", "seen_at", "id"):
        steps.drop_column("web_session", column)


def _name_sessions() -> None:
    """Who is logged in stays so."""
    found = op.get_bind().execute(sa.text("SELECT digest FROM web_session WHERE id IS NULL"))
    for digest in found.scalars().all():
        named = sa.text("UPDATE web_session SET id = :id WHERE digest = :digest")
        op.get_bind().execute(named, {"id": new_id(), "digest": digest})
