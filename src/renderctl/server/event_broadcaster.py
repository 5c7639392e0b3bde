"""One look at the farm for all who follow it: however many there are, the database is asked once."""

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

#: Seconds between two looks; and changes that wait for a follower who does not read, before he is told to start anew.
LOOK_EVERY_S, _MOST_WAITING = 0.5, 2000
LOST = format_sse_event(data_str="{}", event="lost")


@dataclass(eq=False)
class Subscriber:
    """Somebody who is told what changes, as far as he may see it."""

    actor: Actor
    job: str | None
    waiting: list[bytes] = field(default_factory=list)
    more: anyio.Event = field(default_factory=anyio.Event)

    def tell(self, change: Change, text: bytes) -> None:
        """Unless it is not for him."""
        if self.job is not None and change.subject.id != self.job:
            return
        if verdict(self.actor, "job.see", change.subject) is not Verdict.ALLOWED:
            return
        if len(self.waiting) >= _MOST_WAITING:
            self.waiting[:] = [LOST]
        self.waiting.append(text)
        self.more.set()

    async def news(self, patience_s: float) -> list[bytes]:
        """What he was told since; empty after so many seconds without anything."""
        with anyio.move_on_after(patience_s):
            await self.more.wait()
        self.more = anyio.Event()
        news, self.waiting = self.waiting, []
        return news


class Broadcaster:
    """Looks while anybody follows."""

    def __init__(self, parts: ServerParts, leaving: threading.Event) -> None:
        self._parts = parts
        self._leaving = leaving
        self._followers: set[Subscriber] = set()
        self._group: TaskGroup | None = None
        self._looking = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """For as long as the server runs."""
        async with anyio.create_task_group() as group:
            self._group = group
            try:
                yield
            finally:
                group.cancel_scope.cancel()

    @asynccontextmanager
    async def following(self, follower: Subscriber) -> AsyncIterator[None]:
        """Tell him what changes for as long as the context."""
        self._followers.add(follower)
        if not self._looking and self._group is not None:
            self._looking = True
            self._group.start_soon(self._look_on)
        try:
            yield
        finally:
            self._followers.discard(follower)

    async def _look_on(self) -> None:
        changes = self._parts.change_feed()
        try:
            while self._followers:
                only = {each.job for each in self._followers}
                jobs = None if None in only else {job for job in only if job is not None}
                found: list[Change] = []
                with suppress(RenderctlError):  # it comes back, and what was missed is told then
                    found = await anyio.to_thread.run_sync(changes.look, jobs)
                self._tell(found)
                await anyio.sleep(LOOK_EVERY_S)
        finally:
            self._looking = False

    def _tell(self, found: list[Change]) -> None:
        if self._leaving.is_set():
            for follower in self._followers:
                follower.more.set()
        for change in found:
            text = format_sse_event(data_str=json.dumps(change.told), event=change.kind)
            for follower in list(self._followers):
                follower.tell(change, text)
