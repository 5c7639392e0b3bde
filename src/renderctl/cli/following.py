"""Waiting for a job, and showing how it gets on."""

import sys
import threading
from typing import Any

from renderctl.cli import invocation, output, views
from renderctl.errors import Interrupted


def wait_for(connection: Any, document: Any, *, timeout_s: float | None, cancel_on_interrupt: bool) -> Any:
    """The job's document when it has ended. Raises GaveUpWaiting, Interrupted."""
    job_id = document["id"]
    output.note(f"Job {job_id} is queued; waiting for it.")
    try:
        for document in connection.watch(job_id, stop=threading.Event(), timeout_s=timeout_s):
            _shown(document)
    except KeyboardInterrupt as error:
        if cancel_on_interrupt:
            connection.cancel(job_id)
            raise Interrupted(f"Interrupted: job {job_id} was canceled.") from error
        raise Interrupted(
            f"Interrupted: job {job_id} goes on.", hint=f"`renderctl watch {job_id}` follows it."
        ) from error
    return document


def _shown(document: Any) -> None:
    if not invocation.current.quiet and not invocation.current.json and sys.stderr.isatty():
        output.note(views.job_line(document))
