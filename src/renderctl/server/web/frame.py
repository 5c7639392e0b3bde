"""A frame: its image, the attempts at it, and what Blender printed."""

from typing import Annotated

from fastapi import Path, Query, Response

from renderctl.core.errors import NotFound, RenderctlError
from renderctl.core.jobs import Attempt
from renderctl.core.states import OPEN_ATTEMPT
from renderctl.farm.jobs.tasks import LogRange, TaskStatus
from renderctl.server.errors import redact_error
from renderctl.server.web.context import CurrentPage, PageContext, new_router
from renderctl.server.web.job import JobRef

router = new_router()
#: Bytes of a log that a page shows: its end.
_SHOWN = 1 << 18


@router.get("/jobs/{job}/frames/{number}")
def frame(
    context: CurrentPage,
    job: JobRef,
    number: Annotated[int, Path(ge=1, le=1 << 31)],
    attempt: Annotated[str, Query(max_length=24)] = "",
) -> Response:
    """One frame, seen by one camera; the log is that of the latest attempt, or of the one that is asked for."""
    document = context.verbs.status(job)
    found: TaskStatus = context.verbs.task_status(f"{document['id']}-{number}")
    shown = _chosen(found, attempt)
    return context.show(
        "frame",
        job=document,
        found=found,
        shown=shown,
        log=_log(context, shown) if shown else None,
        live=shown is not None and shown.state in OPEN_ATTEMPT,
    )


def _chosen(found: TaskStatus, wanted: str) -> Attempt | None:
    if not wanted:
        return found.attempts[-1] if found.attempts else None
    for each in found.attempts:
        if each.id == wanted:
            return each
    raise NotFound(f"There is no attempt {wanted!r} at this frame.")


def _log(context: PageContext, attempt: Attempt) -> str:
    try:
        end: LogRange = context.verbs.attempt_log(attempt.id, start=-_SHOWN)
        hint = f"[... {end.start:,} bytes before this: `renderctl logs {attempt.job_id} --task {attempt.number}` ...]\n"
        return (hint if end.start else "") + end.text
    except RenderctlError as error:  # the rest of the page is worth its while
        return redact_error(error, context.request).message
