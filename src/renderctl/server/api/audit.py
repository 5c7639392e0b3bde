"""The audit log."""

from typing import Annotated

from fastapi import Query, Response

from renderctl.core.audit import AuditEntry, AuditFilter, AuditVerdict
from renderctl.server.api import new_router
from renderctl.server.authentication import Commands
from renderctl.server.request_models import Timestamp
from renderctl.server.responses import json_response

router = new_router("audit")


@router.get("/audit", response_model=list[AuditEntry])
def audit(
    verbs: Commands,
    by: Annotated[str | None, Query(description="Only entries of this actor.", max_length=255)] = None,
    action: Annotated[
        str | None, Query(description="Only this action (`job.cancel`), or all that begin so (`job`).", max_length=64)
    ] = None,
    subject: Annotated[
        str | None, Query(description="Only this subject, or those that begin so.", max_length=255)
    ] = None,
    since: Timestamp | None = None,
    until: Timestamp | None = None,
    refused: Annotated[bool, Query(description="Only refused attempts.")] = False,
    after: Annotated[int | None, Query(description="Only entries after this one.", ge=0, le=1 << 53)] = None,
    before: Annotated[int | None, Query(description="Only entries before this one.", ge=-(1 << 53), le=1 << 53)] = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 50,
) -> Response:
    """List the latest entries of the audit log, oldest first."""
    filters = AuditFilter(by, action, subject, since, until, refused, after, before)
    return json_response(verbs.audit(filters, limit=limit))


@router.get("/audit/verify", response_model=AuditVerdict)
def verify(
    verbs: Commands,
    seen: Annotated[str | None, Query(description="SEQ:MAC: an end that was shown earlier.", max_length=100)] = None,
) -> Response:
    """Verify the audit log: whether entries were changed, removed or cut off."""
    return json_response(verbs.verify_audit(seen))
