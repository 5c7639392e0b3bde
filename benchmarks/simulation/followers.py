"""What followers of running frames see through the cache: how far each is, and what its Blender prints.

A real worker sends two commands for each running frame, twice a second. Those of all workers of a process travel
together here: the cache does the same work, but for its reading from thousands of sockets.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.simulation.calls import Calls
from benchmarks.simulation.frames import SimulatedFrame
from renderctl.caches.redis import RedisCache

#: Seconds between two looks of a real worker at its running frames; half a heartbeat where that is less.
_PULSE_S = 0.5
#: Parts in which the frames of a process have their turn within a pulse.
_PARTS = 5
#: As Cycles prints it for each of its samples.
PRINTED = b"Fra:1 Mem:512.00M (Peak 600.00M) | Time:00:10.00 | Scene, ViewLayer | Sample 64/128\n"


class BatchingRedisCache(RedisCache):
    """The cache of a real worker, which keeps what is put and appended until it is sent."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._batch = self._client.pipeline(transaction=False)
        self._put.registered_client = self._append.registered_client = self._batch

    def send(self) -> None:
        """Send what was put and appended since the last time."""
        self._call(self._batch.execute, None)


class Followers:
    """Keeps the cache up to date about the frames of a process, in the way of a real worker's reporter."""

    def __init__(self, cache: BatchingRedisCache, calls: Calls, heartbeat_s: float) -> None:
        self._cache = cache
        self._calls = calls
        self._pulse_s = min(_PULSE_S, heartbeat_s / 2)

    async def run(self, frames: Iterable[dict[str, SimulatedFrame]]) -> None:
        """`frames`: those of each worker, which come and go."""
        workers = list(frames)
        parts = [workers[number::_PARTS] for number in range(_PARTS)]
        while True:
            for part in parts:
                pause = asyncio.create_task(asyncio.sleep(self._pulse_s / _PARTS))
                running = [frame for held in part for frame in held.values() if frame.is_rendering]
                if running:
                    await self._calls.run(self._publish_progress, running)
                await pause

    def _publish_progress(self, frames: Sequence[SimulatedFrame]) -> None:
        for frame in frames:
            progress, key = frame.progress, frame.attempt.id
            if progress > frame.reported:
                frame.reported = progress
                self._cache.put(f"attempt:{key}", {"progress": progress}, version=int(progress * 1e6), ttl_s=60.0)
            self._cache.append(f"log:{key}", PRINTED, at=frame.logged)
            frame.logged += len(PRINTED)
        self._cache.send()
