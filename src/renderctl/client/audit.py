"""The audit log, over HTTP."""

import threading
from collections.abc import Iterator
from dataclasses import replace

from renderctl.client.connection import ServerConnection
from renderctl.client.responses import typed
from renderctl.core.audit import AuditEntry, AuditFilter, AuditVerdict
from renderctl.core.outages import OutageGrace

_LOOK_EVERY_S, _MOST = 1.0, 10_000


def audit(server: ServerConnection, wanted: AuditFilter, *, limit: int = 50) -> list[AuditEntry]:
    """The latest entries that are wanted."""
    return typed(list[AuditEntry], server.api.get("/audit", **_query(wanted), limit=min(limit, _MOST)))


def follow_audit(server: ServerConnection, wanted: AuditFilter, *, stop: threading.Event) -> Iterator[AuditEntry]:
    """The entries that are wanted as they are written, from now on."""
    latest = typed(list[AuditEntry], server.api.get("/audit", limit=1))
    after = max((entry.seq or 0 for entry in latest), default=0)
    patience = OutageGrace(server.local_farm.clock)
    while not server.local_farm.clock.wait(stop, _LOOK_EVERY_S):
        with patience.tolerate():
            query = _query(replace(wanted, after=after))
            for entry in typed(list[AuditEntry], server.api.get("/audit", **query, limit=_MOST)):
                if entry.seq is not None and entry.seq > after:
                    after = entry.seq
                    yield entry


def verify_audit(server: ServerConnection, seen: str | None = None) -> AuditVerdict:
    """Look at every entry."""
    return typed(AuditVerdict, server.api.get("/audit/verify", seen=seen))


def _query(wanted: AuditFilter) -> dict[str, object]:
    return {
        "by": wanted.by,
        "action": wanted.action,
        "subject": wanted.subject,
        "since": wanted.since.isoformat() if wanted.since else None,
        "until": wanted.until.isoformat() if wanted.until else None,
        "refused": wanted.refused,
        "after": wanted.after,
        "before": wanted.before,
    }
