"""Quotas: usage and limits of users and projects."""

from typing import Annotated

from fastapi import Query, Response

from renderctl.core.quotas import QuotaReport
from renderctl.server.api import new_router
from renderctl.server.authentication import Commands
from renderctl.server.responses import json_response

router = new_router("quotas")


@router.get("/quota", response_model=list[QuotaReport])
def quota(
    verbs: Commands,
    user: Annotated[str | None, Query(description="Of this user.", max_length=64)] = None,
    project: Annotated[str | None, Query(description="Of this project.", max_length=64)] = None,
) -> Response:
    """Show the usage and quota of a user or a project; of neither: one's own, and those of one's projects."""
    return json_response(verbs.quota(user=user, project=project))
