"""The audit log: who did what to what, and whether the log is whole."""

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
_A_PAGE = 50
#: Behind the end of any chain.
_END = 1 << 53
Before = Annotated[int, Query(ge=-_END, le=_END)]
Day = Annotated[str, Query(pattern=r"^(\d{4}-\d{2}-\d{2})?$")]
#: Where a page tells of what an entry was done to.
_PLACES = {"job": "/jobs/", "worker": "/workers/", "user": "/users/", "session": "/users/"}


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
    """Entries, the newest first: all, or those that are asked for; days are those of UTC, the last one included."""
    said = {"by": by, "action": action, "subject": subject, "outcome": outcome, "since": since, "until": until}
    wanted = AuditFilter(
        by=by or None,
        action=action or None,
        subject=subject or None,
        since=_midnight(since),
        until=_midnight(until, days=1),
        refused=bool(outcome),
    )
    found = _entries(context, wanted, before)
    last = found[-1].seq if len(found) >= _A_PAGE else None
    return context.show(
        "audit",
        entries=found,
        places=_PLACES,
        said=said,
        filtered=any(said.values()),
        newest=url_with("/audit", said) if before < _END else None,
        older=url_with("/audit", said | {"before": str(last)}) if last is not None else None,
        actions=sorted({each.partition(".")[0] for each in TABLE} | set(TABLE)),
    )


@router.get("/audit/verify")
def verify(context: CurrentPage, seen: FilterText = "") -> Response:
    """Whether every entry is what was written, and none is missing; `seen`: an end that was told earlier."""
    return context.show("verified", verdict=context.verbs.verify_audit(seen.strip() or None), seen=seen)


def _entries(context: PageContext, wanted: AuditFilter, before: int) -> list[AuditEntry]:
    """In the order of the chain, the newest first; on the first page also those that get their places in a moment."""
    chained = context.verbs.audit(replace(wanted, before=before), limit=_A_PAGE)[::-1]
    if before < _END:
        return chained
    fresh = context.verbs.audit(wanted, limit=_A_PAGE)[::-1]
    return [*(each for each in fresh if each.seq is None), *chained]


def _midnight(day: str, *, days: int = 0) -> datetime | None:
    """Raises InvalidInput."""
    if not day:
        return None
    try:
        return datetime.combine(date.fromisoformat(day) + timedelta(days=days), time(), UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidInput(f"{day!r} is no day.", hint="It looks like 2026-05-01.") from error
