"""What slots want of a broker: putting a ticket, and standing in line for one."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pika

from renderctl.queues import Ticket
from renderctl.queues.rabbitmq.channel import Channel, Inbox, Message
from renderctl.queues.rabbitmq.connection import ReconnectingConnection
from renderctl.queues.rabbitmq.errors import QueueGone, unavailable
from renderctl.queues.rabbitmq.topology import delay_queue, pool_queue, rounded_delay
from renderctl.queues.rabbitmq.url import BrokerUrl

logger = logging.getLogger(__name__)

#: Of every pool's queue. A queue keeps what it was made with: another value here is another name there.
_POOL_ARGUMENTS = {"x-queue-type": "classic", "x-max-priority": 10}
#: Milliseconds after which a ticket that nobody took is dropped: by then the sweep has put several copies of it.
_STALE_MS = 3600 * 1000
#: Milliseconds that a delay's queue outlives its last ticket.
_UNUSED_MS = 60_000
#: Where `check` sends something to.
_CHECK = "renderctl-check"
#: How often an errand is begun again when a queue is deleted under it.
_TRIES = 3


@dataclass(frozen=True)
class Destination:
    """Where a ticket is put."""

    pool: str
    priority: int
    delay_s: float


class PendingGet:
    """One who stands in line; whoever sent them may call them back."""

    def __init__(self, pools: Sequence[str], *, called_back: bool) -> None:
        self.queues = [pool_queue(pool) for pool in dict.fromkeys(pools)]
        self.inbox: Inbox = asyncio.Queue()
        self.called_back = called_back

    def call_back(self) -> None:
        """Come, with a ticket or without."""
        self.called_back = True
        self.inbox.put_nowait(None)


class TicketClient:
    """Runs in the loop of one thread, over two connections: a broker in need stops reading the one that publishes."""

    def __init__(self, address: BrokerUrl) -> None:
        self._address = address
        self._puts = ReconnectingConnection(address, publishing=True)
        self._takes = ReconnectingConnection(address, publishing=False)
        self._turn = 0

    async def put(self, ticket: Ticket, place: Destination) -> None:
        """Returns when the broker has the ticket safe. Raises QueueUnavailable."""
        await self._again_if_gone(lambda: self._put(ticket, place))

    async def take(self, line: PendingGet) -> Ticket | None:
        """The next ticket, or None when called back. Raises QueueUnavailable."""
        taken: Ticket | None = await self._again_if_gone(lambda: self._take(line))
        return taken

    async def check(self) -> str:
        """What and where the broker is, after a message went there and back. Raises QueueUnavailable."""
        await self._again_if_gone(self._there_and_back)
        server = await self._takes.server()
        return (
            f"{server} at {self._address}, virtual host {self._address.vhost!r}, a queue renderctl.POOL for each pool"
        )

    async def close(self) -> None:
        await asyncio.gather(self._puts.close(), self._takes.close())

    async def _again_if_gone(self, errand: Callable[[], Awaitable[Any]]) -> Any:
        for _ in range(_TRIES - 1):
            try:
                return await errand()
            except QueueGone:
                logger.info("a queue at %s is gone: it is made again", self._address)
        try:
            return await errand()
        except QueueGone as error:
            raise unavailable(error, self._address) from error

    async def _put(self, ticket: Ticket, place: Destination) -> None:
        async with self._puts.channel() as channel:
            queue = pool_queue(place.pool)
            await self._declare(channel, self._puts, queue)
            expiration: str | None = str(_STALE_MS)
            if place.delay_s > 0:
                queue, expiration = await self._declare_delay(channel, place), None
            body = json.dumps(asdict(ticket)).encode()
            properties = pika.BasicProperties(
                "application/json", delivery_mode=2, priority=place.priority, expiration=expiration
            )
            await channel.publish(queue, body, properties)

    async def _there_and_back(self) -> None:
        async with self._puts.channel() as channel:
            await channel.declare(_CHECK, {"x-queue-type": "classic", "x-expires": _UNUSED_MS})
            await channel.publish(_CHECK, b"", pika.BasicProperties())
        async with self._takes.channel() as channel:
            if (message := await channel.get(_CHECK)) is not None:  # else another one who checks has it
                channel.acknowledge(message)

    async def _declare(self, channel: Channel, link: ReconnectingConnection, queue: str) -> None:
        if queue not in link.known:
            await channel.declare(queue, _POOL_ARGUMENTS)
            link.known.add(queue)

    async def _declare_delay(self, channel: Channel, place: Destination) -> str:
        """A queue from which tickets go to the pool's when their time has come. Declaring it again lets it live on."""
        delay_ms = rounded_delay(place.delay_s)
        queue = delay_queue(place.pool, delay_ms)
        await channel.declare(
            queue,
            {
                "x-queue-type": "classic",
                "x-message-ttl": delay_ms,
                "x-expires": delay_ms + _UNUSED_MS,
                "x-dead-letter-exchange": "",
                "x-dead-letter-routing-key": pool_queue(place.pool),
            },
        )
        return queue

    async def _take(self, line: PendingGet) -> Ticket | None:
        async with self._takes.channel() as channel:
            for queue in line.queues:
                await self._declare(channel, self._takes, queue)
            while True:
                message = await self._waiting(channel, line.queues)
                if message is None and not line.called_back:
                    message = await self._stand(channel, line)
                if message is None:
                    return None
                channel.acknowledge(message)
                if (ticket := _ticket(message)) is not None:
                    return ticket

    async def _waiting(self, channel: Channel, queues: Sequence[str]) -> Message | None:
        """The first of the highest priority of what waits already; pools that have the same take turns."""
        self._turn += 1
        shift = self._turn % len(queues)
        found = [message for queue in (*queues[shift:], *queues[:shift]) if (message := await channel.get(queue))]
        return _the_first(channel, found)

    async def _stand(self, channel: Channel, line: PendingGet) -> Message | None:
        line.inbox = asyncio.Queue()
        for queue in line.queues:
            await channel.consume(queue, line.inbox)
        news = [await line.inbox.get()]
        await channel.leave()
        while not line.inbox.empty():
            news.append(line.inbox.get_nowait())
        for each in news:
            if isinstance(each, BaseException):
                raise each
        return _the_first(channel, [each for each in news if isinstance(each, Message)])


def _the_first(channel: Channel, found: Sequence[Message]) -> Message | None:
    if not found:
        return None
    first = max(found, key=lambda message: message.priority)
    for other in found:
        if other is not first:
            channel.give_back(other)
    return first


def _ticket(message: Message) -> Ticket | None:
    try:
        document = json.loads(message.body)
        return Ticket(str(document["job_id"]), int(document["serial"]))
    except (ValueError, TypeError, KeyError):
        logger.warning("something that is no ticket was in the queue, and is dropped")
        return None
