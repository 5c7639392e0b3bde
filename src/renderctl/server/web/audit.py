"""The audit log, and its verification."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated

from fastapi import Query, Response

from renderctl.core.audit import AuditEntry, AuditFilter
from renderctl.core.errors import InvalidInput
from renderctl.core.permissions import TABLE
from renderctl.server.web.context import CurrentPage, PageContext, new_router
from renderctl.server.web.pagination import FilterText, url_with

router = new_router()
_PAGE_SIZE = 50
#: Beyond the end of any chain.
_END = 1 << 53
Before = Annotated[int, Query(ge=-_END, le=_END)]
Day = Annotated[str, Query(pattern=r"^(\d{4}-\d{2}-\d{2})?$")]
#: The paths of pages for subjects of entries.
_SUBJECT_PATHS = {"job": "/jobs/", "worker": "/workers/", "user": "/users/", "session": "/users/"}


@router.get("/audit")
def audit(
    context: CurrentPage,
    by: FilterText = "",
    action: FilterText = "",
    subject: FilterText = "",
    outcome: Annotated[str, Query(pattern="^(refused)?$")] = "",
    since: Day = "",
    until: Day = "",
    before: Before = _END,
) -> Response:
    """Entries, newest first, by the filters; days are in UTC, and the last one is included."""
    filters = {"by": by, "action": action, "subject": subject, "outcome": outcome, "since": since, "until": until}
    query = AuditFilter(
        by=by or None,
        action=action or None,
        subject=subject or None,
        since=_midnight(since),
        until=_midnight(until, days=1),
        refused=bool(outcome),
    )
    entries = _entries(context, query, before)
    last = entries[-1].seq if len(entries) >= _PAGE_SIZE else None
    return context.show(
        "audit",
        entries=entries,
        subject_paths=_SUBJECT_PATHS,
        filters=filters,
        is_filtered=any(filters.values()),
        newest=url_with("/audit", filters) if before < _END else None,
        older=url_with("/audit", filters | {"before": str(last)}) if last is not None else None,
        actions=sorted({action.partition(".")[0] for action in TABLE} | set(TABLE)),
    )


@router.get("/audit/verify")
def verify(context: CurrentPage, seen: FilterText = "") -> Response:
    """Verify that no entry was changed or removed; `seen`: an end of the log that was shown earlier."""
    return context.show("audit_verified", verdict=context.verbs.verify_audit(seen.strip() or None), seen=seen)


def _entries(context: PageContext, query: AuditFilter, before: int) -> list[AuditEntry]:
    """In the order of the chain, newest first; the first page also has entries that are about to be chained."""
    chained = context.verbs.audit(replace(query, before=before), limit=_PAGE_SIZE)[::-1]
    if before < _END:
        return chained
    fresh = context.verbs.audit(query, limit=_PAGE_SIZE)[::-1]
    return [*(entry for entry in fresh if entry.seq is None), *chained]


def _midnight(day: str, *, days: int = 0) -> datetime | None:
    """Raises InvalidInput."""
    if not day:
        return None
    try:
        return datetime.combine(date.fromisoformat(day) + timedelta(days=days), time(), UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidInput(f"{day!r} is not a day.", hint="It looks like 2026-05-01.") from error
