"""Quotas, over HTTP."""

from renderctl.client.commands import RemoteCommands
from renderctl.client.responses import typed
from renderctl.core.quotas import QuotaReport


def quota(server: RemoteCommands, *, user: str | None = None, project: str | None = None) -> tuple[QuotaReport, ...]:
    """What a user, or a project, uses and may use; of neither: whoever asks, and their projects."""
    return typed(tuple[QuotaReport, ...], server.api.get("/quota", user=user, project=project))
