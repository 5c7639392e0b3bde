"""Broadcasts changes of the farm to all subscribers; the database is polled once for all of them."""

import json
import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup
from fastapi.sse import format_sse_event

from renderctl.core.actors import Actor
from renderctl.core.errors import RenderctlError
from renderctl.core.permissions import Verdict, verdict
from renderctl.farm.change_feed import Change
from renderctl.wiring.server_parts import ServerParts

logger = logging.getLogger(__name__)

#: Seconds between two polls; and events that are kept for a subscriber who does not read, before all of them are lost.
POLL_EVERY_S, _MAX_PENDING = 0.5, 2000
LOST = format_sse_event(data_str="{}", event="lost")


@dataclass(eq=False)
class Subscriber:
    """A reader of changes: of one job, or of all jobs that the actor may see."""

    actor: Actor
    job: str | None
    pending: list[bytes] = field(default_factory=list)
    has_events: anyio.Event = field(default_factory=anyio.Event)

    def publish(self, change: Change, event: bytes) -> None:
        """Queue the event of a change, if the actor may see its job."""
        if self.job is not None and change.subject.id != self.job:
            return
        if verdict(self.actor, "job.see", change.subject) is not Verdict.ALLOWED:
            return
        if len(self.pending) >= _MAX_PENDING:
            self.pending[:] = [LOST]
        self.pending.append(event)
        self.has_events.set()

    async def receive(self, timeout_s: float) -> list[bytes]:
        """The events since the last call; empty when none came within `timeout_s` seconds."""
        with anyio.move_on_after(timeout_s):
            await self.has_events.wait()
        self.has_events = anyio.Event()
        events, self.pending = self.pending, []
        return events


class Broadcaster:
    """Polls the change feed while there are subscribers."""

    def __init__(self, parts: ServerParts, stopping: threading.Event) -> None:
        self._parts = parts
        self._stopping = stopping
        self._subscribers: set[Subscriber] = set()
        self._group: TaskGroup | None = None
        self._polling = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Poll within the context: for as long as the server runs."""
        async with anyio.create_task_group() as group:
            self._group = group
            try:
                yield
            finally:
                group.cancel_scope.cancel()

    @asynccontextmanager
    async def subscribe(self, subscriber: Subscriber) -> AsyncIterator[None]:
        """Publish changes to the subscriber for as long as the context lasts."""
        self._subscribers.add(subscriber)
        if not self._polling and self._group is not None:
            self._polling = True
            self._group.start_soon(self._poll)
        try:
            yield
        finally:
            self._subscribers.discard(subscriber)

    async def _poll(self) -> None:
        feed = self._parts.change_feed()
        try:
            while self._subscribers:
                followed = {subscriber.job for subscriber in self._subscribers}
                jobs = None if None in followed else {job for job in followed if job is not None}
                changes: list[Change] = []
                with suppress(RenderctlError):  # an outage: the next poll finds what this one has missed
                    changes = await anyio.to_thread.run_sync(feed.look, jobs)
                self._publish(changes)
                await anyio.sleep(POLL_EVERY_S)
        finally:
            self._polling = False

    def _publish(self, changes: list[Change]) -> None:
        if self._stopping.is_set():
            for subscriber in self._subscribers:
                subscriber.has_events.set()
        for change in changes:
            event = format_sse_event(data_str=json.dumps(change.told), event=change.kind)
            for subscriber in list(self._subscribers):
                subscriber.publish(change, event)
