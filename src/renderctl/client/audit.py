"""The audit log, over HTTP."""

import threading
from collections.abc import Iterator, Mapping
from typing import Any

from renderctl.client.connection import ServerConnection
from renderctl.client.responses import typed
from renderctl.core.outages import OutageGrace
from renderctl.repository.audit.log import AuditEntry
from renderctl.repository.audit.verification import AuditVerdict

_LOOK_EVERY_S, _MOST = 1.0, 10_000


def audit(server: ServerConnection, wanted: Mapping[str, Any], *, limit: int = 50) -> list[AuditEntry]:
    """The latest entries that are wanted."""
    return typed(list[AuditEntry], server.api.get("/audit", **_asked(wanted), limit=min(limit, _MOST)))


def follow_audit(server: ServerConnection, wanted: Mapping[str, Any], *, stop: threading.Event) -> Iterator[AuditEntry]:
    """The entries that are wanted as they are written, from now on."""
    latest = typed(list[AuditEntry], server.api.get("/audit", limit=1))
    after = max((each.seq or 0 for each in latest), default=0)
    patience = OutageGrace(server.local_farm.clock)
    while not server.local_farm.clock.wait(stop, _LOOK_EVERY_S):
        with patience.bearing():
            for entry in typed(list[AuditEntry], server.api.get("/audit", **_asked(wanted), after=after, limit=_MOST)):
                if entry.seq is not None and entry.seq > after:
                    after = entry.seq
                    yield entry


def verify_audit(server: ServerConnection, seen: str | None = None) -> AuditVerdict:
    """Look at every entry."""
    return typed(AuditVerdict, server.api.get("/audit/verify", seen=seen))


def _asked(wanted: Mapping[str, Any]) -> dict[str, Any]:
    return {name: each.isoformat() if hasattr(each, "isoformat") else each for name, each in wanted.items()}
