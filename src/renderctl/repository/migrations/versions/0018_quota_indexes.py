"""Quotas: what users and projects have at work is summed up from indexes alone."""

from renderctl.repository.migrations import steps

revision = "0018"
down_revision = "0017"

_BEFORE = {"": ["state"], "_bytes": ["removed_at", "output_bytes"]}
_SINCE = {"": ["state", "task_count"], "_bytes": ["removed_at", "output_bytes", "finished_at", "started_at"]}


def upgrade() -> None:
    _replace(_SINCE)


def downgrade() -> None:
    _replace(_BEFORE)


def _replace(indexes: dict[str, list[str]]) -> None:
    for holder in ("owner", "project"):
        for name, columns in indexes.items():
            steps.drop_index(f"ix_job_{holder}{name}", "job")
            steps.create_index(f"ix_job_{holder}{name}", "job", [holder, *columns])
