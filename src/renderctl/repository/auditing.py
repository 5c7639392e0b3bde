"""Who did what to what, and when."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from renderctl.actors import Actor
from renderctl.permissions import Subject
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

    def note_refusal(self, actor: Actor, action: str, subject: Subject, outcome: str) -> None:
        """Leave a row of what somebody wanted to do and may not."""
        told = {"kind": subject.kind, "owner": subject.owner, "projects": sorted(subject.projects)}

        def writing(connection: Connection) -> None:
            self.note_outcome(connection, actor, action, subject.id, outcome=outcome, details=told)

        self.write(writing)

    def audit_log(self, *, subject: str | None = None, limit: int = 100) -> list[AuditEntry]:
        """The latest entries, the newest first."""
        query = select(audits).order_by(audits.c.id.desc()).limit(limit)
        if subject is not None:
            query = query.where(audits.c.subject == subject)
        rows = self.read(lambda connection: connection.execute(query).all())
        return [AuditEntry(row.at, row.actor, row.kind, row.action, row.subject, row.details) for row in rows]
