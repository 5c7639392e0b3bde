"""The page of a frame: its images, attempts and log."""

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
#: Bytes of the end of a log that the page shows.
_LOG_BYTES = 1 << 18


@router.get("/jobs/{job}/frames/{number}")
def frame(
    context: CurrentPage,
    job: JobRef,
    number: Annotated[int, Path(ge=1, le=1 << 31)],
    attempt: Annotated[str, Query(max_length=24)] = "",
) -> Response:
    """One frame of one camera; the log is that of the given attempt, else of the latest."""
    document = context.verbs.status(job)
    task_status: TaskStatus = context.verbs.task_status(f"{document['id']}-{number}")
    attempt_shown = _find_attempt(task_status, attempt)
    return context.show(
        "frame",
        job=document,
        task_status=task_status,
        attempt_shown=attempt_shown,
        log=_log(context, attempt_shown) if attempt_shown else None,
        live=attempt_shown is not None and attempt_shown.state in OPEN_ATTEMPT,
    )


def _find_attempt(task_status: TaskStatus, attempt_id: str) -> Attempt | None:
    if not attempt_id:
        return task_status.attempts[-1] if task_status.attempts else None
    for attempt in task_status.attempts:
        if attempt.id == attempt_id:
            return attempt
    raise NotFound(f"This frame has no attempt {attempt_id!r}.")


def _log(context: PageContext, attempt: Attempt) -> str:
    try:
        end: LogRange = context.verbs.attempt_log(attempt.id, start=-_LOG_BYTES)
        hint = f"[... {end.start:,} bytes before this: `renderctl logs {attempt.job_id} --task {attempt.number}` ...]\n"
        return (hint if end.start else "") + end.text
    except RenderctlError as error:  # the rest of the page does not need it
        return redact_error(error, context.request).message
