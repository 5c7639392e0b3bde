"""Waiting for a job, showing how it gets on, and ending as it ended."""

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from renderctl.cli.ui import console
from renderctl.cli.ui.progress import job_progress
from renderctl.core.errors import Interrupted, JobCanceled, JobFailed
from renderctl.farm.jobs.watch import require_success

if TYPE_CHECKING:
    from renderctl.core.job_status import JobStatus
    from renderctl.wiring import Commands


def follow_job(connection: "Commands", job: str, *, timeout_s: float | None) -> "Iterator[JobStatus]":
    """The job's document at every change, until it has ended. Raises GaveUpWaiting, Interrupted."""
    try:
        yield from connection.watch(job, stop=threading.Event(), timeout_s=timeout_s)
    except KeyboardInterrupt as error:
        hint = f"`renderctl watch {job}` follows it."
        raise Interrupted(f"Interrupted; job {job} goes on without us.", hint=hint) from error


def wait_for(
    connection: "Commands", document: "JobStatus", *, timeout_s: float | None, cancel_on_interrupt: bool
) -> "JobStatus":
    """The job's document when it has ended, with its progress shown meanwhile. Raises GaveUpWaiting, Interrupted."""
    job_id = document["id"]
    console.note(f"Job {job_id} is queued; waiting for it.")
    try:
        with job_progress() as show:
            for document in follow_job(connection, job_id, timeout_s=timeout_s):
                show(document)
    except Interrupted as error:
        if not cancel_on_interrupt:
            raise
        connection.cancel(job_id)
        raise Interrupted(f"Interrupted; job {job_id} was canceled.") from error
    return document


def exit_like(document: "JobStatus") -> None:
    """End as the job did, once its document has been shown: that was the one answer on stdout."""
    try:
        require_success(document)
    except (JobFailed, JobCanceled) as error:
        console.print_error(error)
        raise typer.Exit(error.exit_code) from error
