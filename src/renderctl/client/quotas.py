"""Quotas, over HTTP."""

from renderctl.client.connection import ServerConnection
from renderctl.client.responses import typed
from renderctl.core.quotas import QuotaReport


def quota(server: ServerConnection, *, user: str | None = None, project: str | None = None) -> tuple[QuotaReport, ...]:
    """What a user, or a project, uses and may use; of neither: whoever asks, and their projects."""
    return typed(tuple[QuotaReport, ...], server.api.get("/quota", user=user, project=project))
