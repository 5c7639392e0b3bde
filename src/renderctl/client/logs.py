"""Logs, over HTTP."""

import threading
from collections.abc import Iterator

from renderctl.client.connection import ServerConnection
from renderctl.client.http import quoted
from renderctl.client.responses import lines_of, typed
from renderctl.client.sse import events
from renderctl.farm.jobs.attempt_logs import LogPart


def logs(server: ServerConnection, job_ref: str, task: str | None = None) -> Iterator[LogPart]:
    """The log that tells most, part by part as it comes: the server sends one a line."""
    with server.api.opened(f"/jobs/{quoted(job_ref)}/logs", {"task": task}) as answer:
        for line in lines_of(answer, server.api.most_bytes):
            if (text := line.strip().removesuffix(b",")) not in (b"", b"[", b"]"):
                document = server.api.document(text)
                for part in document if isinstance(document, list) else [document]:  # an older server has one line
                    yield typed(LogPart, part)


def follow(
    server: ServerConnection, job_ref: str, task: str | None = None, *, stop: threading.Event
) -> Iterator[LogPart]:
    """The logs of a job's attempts as they grow, until the job has ended."""
    path = f"/jobs/{quoted(job_ref)}/logs/live"
    for event in events(server.api, path, {"task": task}, server.local_farm.clock, None):
        kind, document = event or ("", None)
        if kind == "end" or stop.is_set():
            return
        if kind == "log":
            yield typed(LogPart, document)
