"""The operations on a broker: put a ticket, get one, check the connection."""

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

#: Arguments of every pool's queue. A broker refuses to change them: another value here needs another queue name.
_POOL_ARGUMENTS = {"x-queue-type": "classic", "x-max-priority": 10}
#: Milliseconds after which the broker drops a ticket: by then the sweep has put it again.
_STALE_MS = 3600 * 1000
#: Milliseconds that the queue of a delay outlives its last ticket.
_IDLE_EXPIRY_MS = 60_000
#: The queue that `check` publishes to.
_CHECK_QUEUE = "renderctl-check"
#: How often an operation is tried when its queue is deleted meanwhile.
_ATTEMPTS = 3


@dataclass(frozen=True)
class Destination:
    """Where a ticket is put: pool, priority (0 to 10) and delay in seconds."""

    pool: str
    priority: int
    delay_s: float


class PendingGet:
    """A get that waits for a ticket, and can be canceled."""

    def __init__(self, pools: Sequence[str], *, canceled: bool) -> None:
        self.queues = [pool_queue(pool) for pool in dict.fromkeys(pools)]
        self.inbox: Inbox = asyncio.Queue()
        self.canceled = canceled

    def cancel(self) -> None:
        """End the wait; the get returns a ticket that is there already, or None."""
        self.canceled = True
        self.inbox.put_nowait(None)


class TicketClient:
    """Runs in one event loop, over two connections: a broker short of memory blocks the one that publishes."""

    def __init__(self, url: BrokerUrl) -> None:
        self._url = url
        self._publisher = ReconnectingConnection(url, publishing=True)
        self._consumer = ReconnectingConnection(url, publishing=False)
        self._rotation = 0

    async def put(self, ticket: Ticket, destination: Destination) -> None:
        """Publish the ticket; returns when the broker has confirmed it. Raises QueueUnavailable."""
        await self._retry_if_gone(lambda: self._put(ticket, destination))

    async def get(self, pending: PendingGet) -> Ticket | None:
        """Return the next ticket, or None when canceled. Raises QueueUnavailable."""
        ticket: Ticket | None = await self._retry_if_gone(lambda: self._get(pending))
        return ticket

    async def check(self) -> str:
        """Return the broker's version and address, after publishing and reading a message. Raises QueueUnavailable."""
        await self._retry_if_gone(self._round_trip)
        server = await self._consumer.server()
        return f"{server} at {self._url}, virtual host {self._url.vhost!r}, a queue renderctl.POOL for each pool"

    async def close(self) -> None:
        """Close both connections."""
        await asyncio.gather(self._publisher.close(), self._consumer.close())

    async def _retry_if_gone(self, operation: Callable[[], Awaitable[Any]]) -> Any:
        for _ in range(_ATTEMPTS - 1):
            try:
                return await operation()
            except QueueGone:
                logger.info("a queue at %s is gone, declaring it again", self._url)
        try:
            return await operation()
        except QueueGone as error:
            raise unavailable(error, self._url) from error

    async def _put(self, ticket: Ticket, destination: Destination) -> None:
        async with self._publisher.channel() as channel:
            queue = pool_queue(destination.pool)
            await self._declare(channel, self._publisher, queue)
            expiration: str | None = str(_STALE_MS)
            if destination.delay_s > 0:
                queue, expiration = await self._declare_delay(channel, destination), None
            body = json.dumps(asdict(ticket)).encode()
            properties = pika.BasicProperties(
                "application/json", delivery_mode=2, priority=destination.priority, expiration=expiration
            )
            await channel.publish(queue, body, properties)

    async def _round_trip(self) -> None:
        async with self._publisher.channel() as channel:
            await channel.declare(_CHECK_QUEUE, {"x-queue-type": "classic", "x-expires": _IDLE_EXPIRY_MS})
            await channel.publish(_CHECK_QUEUE, b"", pika.BasicProperties())
        async with self._consumer.channel() as channel:
            if (message := await channel.get(_CHECK_QUEUE)) is not None:  # otherwise a concurrent check has taken it
                channel.ack(message)

    async def _declare(self, channel: Channel, connection: ReconnectingConnection, queue: str) -> None:
        if queue not in connection.declared_queues:
            await channel.declare(queue, _POOL_ARGUMENTS)
            connection.declared_queues.add(queue)

    async def _declare_delay(self, channel: Channel, destination: Destination) -> str:
        """Declare the queue whose tickets are dead-lettered to the pool's after the delay; this renews its expiry."""
        delay_ms = rounded_delay(destination.delay_s)
        queue = delay_queue(destination.pool, delay_ms)
        await channel.declare(
            queue,
            {
                "x-queue-type": "classic",
                "x-message-ttl": delay_ms,
                "x-expires": delay_ms + _IDLE_EXPIRY_MS,
                "x-dead-letter-exchange": "",
                "x-dead-letter-routing-key": pool_queue(destination.pool),
            },
        )
        return queue

    async def _get(self, pending: PendingGet) -> Ticket | None:
        async with self._consumer.channel() as channel:
            for queue in pending.queues:
                await self._declare(channel, self._consumer, queue)
            while True:
                message = await self._poll(channel, pending.queues)
                if message is None and not pending.canceled:
                    message = await self._consume(channel, pending)
                if message is None:
                    return None
                channel.ack(message)
                if (ticket := _parse_ticket(message)) is not None:
                    return ticket

    async def _poll(self, channel: Channel, queues: Sequence[str]) -> Message | None:
        """Return the message of highest priority that is queued already; pools of equal priority alternate."""
        self._rotation += 1
        offset = self._rotation % len(queues)
        messages = [message for queue in (*queues[offset:], *queues[:offset]) if (message := await channel.get(queue))]
        return _keep_first(channel, messages)

    async def _consume(self, channel: Channel, pending: PendingGet) -> Message | None:
        pending.inbox = asyncio.Queue()
        for queue in pending.queues:
            await channel.consume(queue, pending.inbox)
        events = [await pending.inbox.get()]
        await channel.cancel_consumers()
        while not pending.inbox.empty():
            events.append(pending.inbox.get_nowait())
        for event in events:
            if isinstance(event, BaseException):
                raise event
        return _keep_first(channel, [event for event in events if isinstance(event, Message)])


def _keep_first(channel: Channel, messages: Sequence[Message]) -> Message | None:
    if not messages:
        return None
    first = max(messages, key=lambda message: message.priority)
    for other in messages:
        if other is not first:
            channel.nack(other)
    return first


def _parse_ticket(message: Message) -> Ticket | None:
    try:
        fields = json.loads(message.body)
        return Ticket(str(fields["job_id"]), int(fields["serial"]))
    except (ValueError, TypeError, KeyError):
        logger.warning("dropped a message that is no ticket")
        return None
