"""Logs, over HTTP."""

import threading
from collections.abc import Iterator

from renderctl.client.answers import typed
from renderctl.client.api import quoted
from renderctl.client.connection import ServerConnection
from renderctl.client.events import events
from renderctl.farm.logs import LogPart

#: Logs of several attempts come at once, each of worker.log_mb at most: so many times what a document may have.
_LOGS = 8


def logs(server: ServerConnection, ref: str, task: str | None = None) -> list[LogPart]:
    """The log that tells most."""
    path = f"/jobs/{quoted(ref)}/logs"
    return typed(list[LogPart], server.api.ask("GET", path, {"task": task}, most_bytes=_LOGS * server.api.most_bytes))


def follow(server: ServerConnection, ref: str, task: str | None = None, *, stop: threading.Event) -> Iterator[LogPart]:
    """The logs of a job's attempts as they grow, until the job has ended."""
    path = f"/jobs/{quoted(ref)}/logs/live"
    for kind, document in events(server.api, path, {"task": task}, server.bench.clock, None):
        if kind == "end" or stop.is_set():
            return
        if kind == "log":
            yield typed(LogPart, document)
