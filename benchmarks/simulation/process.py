"""`python -m benchmarks.simulation.process COUNT PREFIX THREADS SHORTEST LONGEST`: so many workers in this process.

The farm is that of the settings (`RENDERCTL_*`). A frame takes between SHORTEST and LONGEST seconds. Each line of the
input asks for a line of output: `report`, how long calls took since the last report; `leave`, when all have left.
"""

import asyncio
import json
import logging
import random
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any, cast

from benchmarks.simulation.calls import Calls
from benchmarks.simulation.followers import BatchingRedisCache, Followers
from benchmarks.simulation.queue import AwaitableRabbitQueue, AwaitingQueue
from benchmarks.simulation.worker import SimulatedWorker, Surroundings
from renderctl.farm import Farm
from renderctl.farm.node_id import node_number
from renderctl.wiring import open_farm, read_settings


@contextmanager
def surroundings(farm: Farm, threads: int, render_s: Callable[[], float]) -> Iterator[Surroundings]:
    """What workers need of a farm on MySQL, RabbitMQ and Redis, with the ports that know of coroutines."""
    queue = AwaitableRabbitQueue(farm.settings.queue.url or "", farm.clock)
    cache = BatchingRedisCache(farm.settings.cache.url or "", farm.clock)
    try:
        yield Surroundings(replace(farm, queue=queue, cache=cache), Calls(threads), AwaitingQueue(queue), render_s)
    finally:
        queue.close()
        cache.close()


@asynccontextmanager
async def at_work(around: Surroundings, names: Sequence[str]) -> AsyncIterator["asyncio.Future[Any]"]:
    """Workers that are registered and at work, and leave at the end; what ends when one of them has failed."""
    workers = [SimulatedWorker(around, name, node_number(around.farm)) for name in names]
    await asyncio.gather(*(worker.register() for worker in workers))
    cache = cast(BatchingRedisCache, around.farm.cache)
    followers = Followers(cache, around.calls, around.farm.settings.worker.heartbeat)
    telling = asyncio.create_task(followers.run([worker.frames for worker in workers]))
    working = asyncio.gather(*(worker.work() for worker in workers))
    try:
        yield working
    finally:
        for worker in workers:
            worker.halt()
        around.queue.call_back()
        await working
        telling.cancel()
        await asyncio.gather(*(worker.leave() for worker in workers))


async def simulate(around: Surroundings, names: Sequence[str]) -> None:
    """Be these workers until the input says that they shall leave."""
    async with at_work(around, names) as working:
        print("ready", flush=True)
        while await _next_line(working) == "report":
            print(json.dumps(vars(around.calls.take_times())), flush=True)
    print("left", flush=True)


async def _next_line(working: "asyncio.Future[Any]") -> str:
    """The next line of the input; raises what a worker has ended with before it came."""
    line: asyncio.Future[str] = asyncio.ensure_future(asyncio.to_thread(sys.stdin.readline))
    await asyncio.wait({line, working}, return_when=asyncio.FIRST_COMPLETED)
    if not line.done():
        await working
    return (await line).strip()


def main(count: int, prefix: str, threads: int, render_s: tuple[float, float]) -> None:
    logging.basicConfig(level=logging.WARNING)
    opened: list[Any] = []
    farm: Farm = open_farm(read_settings(), opened)
    with surroundings(farm, threads, partial(random.uniform, *render_s)) as around:
        asyncio.run(simulate(around, [f"{prefix}-{number}" for number in range(count)]))
    for port in opened:
        port.close()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), (float(sys.argv[4]), float(sys.argv[5])))
