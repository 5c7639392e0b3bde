"""The audit log."""

from typing import Annotated

from fastapi import Query, Response

from renderctl.core.audit import AuditEntry, AuditFilter, AuditVerdict
from renderctl.server.api import new_router
from renderctl.server.authentication import Commands
from renderctl.server.request_models import Moment
from renderctl.server.responses import json_response

router = new_router("audit")


@router.get("/audit", response_model=list[AuditEntry])
def audit(
    verbs: Commands,
    by: Annotated[str | None, Query(description="Only what this one did.", max_length=255)] = None,
    action: Annotated[str | None, Query(description="Only such: `job.cancel`, or all of `job`.", max_length=64)] = None,
    subject: Annotated[str | None, Query(description="Only to this, or what begins so.", max_length=255)] = None,
    since: Moment | None = None,
    until: Moment | None = None,
    refused: Annotated[bool, Query(description="Only what was not allowed.")] = False,
    after: Annotated[int | None, Query(description="Those that follow this one.", ge=0, le=1 << 53)] = None,
    before: Annotated[int | None, Query(description="Those that this one follows.", ge=-(1 << 53), le=1 << 53)] = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 50,
) -> Response:
    """Who did what to what: the latest entries, in the order in which they were written."""
    wanted = AuditFilter(by, action, subject, since, until, refused, after, before)
    return json_response(verbs.audit(wanted, limit=limit))


@router.get("/audit/verify", response_model=AuditVerdict)
def verify(
    verbs: Commands,
    seen: Annotated[str | None, Query(description="SEQ:MAC, an end told earlier.", max_length=100)] = None,
) -> Response:
    """Whether an entry was changed or is missing, or the end is cut off."""
    return json_response(verbs.verify_audit(seen))
