"""Who did what to what, and when."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from renderctl.repository.database import Database
from renderctl.repository.tables import audits


@dataclass(frozen=True)
class AuditEntry:
    at: datetime
    actor: str
    kind: str
    action: str
    subject: str
    details: dict[str, Any]


class Auditing(Database):
    """The audit log."""

    def audit_log(self, *, subject: str | None = None, limit: int = 100) -> list[AuditEntry]:
        """The latest entries, the newest first."""
        query = select(audits).order_by(audits.c.id.desc()).limit(limit)
        if subject is not None:
            query = query.where(audits.c.subject == subject)
        rows = self.read(lambda connection: connection.execute(query).all())
        return [AuditEntry(row.at, row.actor, row.kind, row.action, row.subject, row.details) for row in rows]
