"""A channel whose replies can be awaited. It runs one operation at a time, so that an error has one cause."""

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pika

from renderctl.queues.rabbitmq.errors import QueueGone

#: Seconds that the broker has to reply.
REPLY_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Message:
    """A delivery that is not acknowledged yet."""

    body: bytes
    priority: int
    tag: int


#: What a waiting consumer receives: a message, the error that ends its wait, or None if the wait was canceled.
Inbox = asyncio.Queue[Message | BaseException | None]


class Channel:
    """One channel of a connection, used by one operation at a time.

    Its methods raise TimeoutError when the broker does not reply, or the error that closed the channel.
    """

    def __init__(self, connection: Any) -> None:
        self._reply: asyncio.Future[Any] | None = None
        self._inbox: Inbox | None = None
        self._consumer_ids = itertools.count()
        self._consumers: list[str] = []
        self._returned = False
        self._channel = connection.channel(on_open_callback=self._on_reply)
        self._channel.add_on_close_callback(lambda _channel, reason: self.fail(reason))

    @classmethod
    async def open(cls, connection: Any, *, confirming: bool) -> "Channel":
        """Open a channel with publisher confirms (`confirming`), or one that prefetches one message per consumer."""
        self = cls(connection)
        await self._call(lambda: None)
        if confirming:
            self._channel.add_on_return_callback(self._on_return)
            await self._call(lambda: self._channel.confirm_delivery(self._on_confirm, self._on_reply))
        else:
            self._channel.add_on_cancel_callback(lambda _frame: self._notify(QueueGone("it was deleted")))
            self._channel.add_callback(lambda _frame: self._on_reply(None), [pika.spec.Basic.GetEmpty], one_shot=False)
            await self._call(lambda: self._channel.basic_qos(prefetch_count=1, callback=self._on_reply))
        return self

    async def declare(self, queue: str, arguments: dict[str, Any]) -> None:
        """Declare the durable queue, which creates it if needed."""
        await self._call(
            lambda: self._channel.queue_declare(queue, durable=True, arguments=arguments, callback=self._on_reply)
        )

    async def publish(self, queue: str, body: bytes, properties: pika.BasicProperties) -> None:
        """Publish a persistent message; returns when the broker has confirmed it. Raises QueueGone."""
        self._returned = False
        reply = await self._call(lambda: self._channel.basic_publish("", queue, body, properties, mandatory=True))
        if self._returned or isinstance(reply, pika.spec.Basic.Nack):
            raise QueueGone("it accepted no ticket")

    async def get(self, queue: str) -> Message | None:
        """Take the first message of the queue, or None."""
        message: Message | None = await self._call(lambda: self._channel.basic_get(queue, _as_message(self._on_reply)))
        return message

    async def consume(self, queue: str, inbox: Inbox) -> None:
        """Deliver the queue's messages to `inbox` until `cancel_consumers`."""
        self._inbox = inbox
        tag = f"slot-{next(self._consumer_ids)}"
        on_message = _as_message(inbox.put_nowait)
        await self._call(
            lambda: self._channel.basic_consume(queue, on_message, consumer_tag=tag, callback=self._on_reply)
        )
        self._consumers.append(tag)

    async def cancel_consumers(self) -> None:
        """Cancel all consumers; the broker requeues a message that is on its way."""
        while self._consumers:
            tag = self._consumers.pop()
            if tag in self._channel.consumer_tags:  # else the broker has canceled it
                await self._call(lambda: self._channel.basic_cancel(tag, self._on_reply))  # noqa: B023
        self._inbox = None

    def ack(self, message: Message) -> None:
        """Acknowledge the message: the broker deletes it."""
        self._channel.basic_ack(message.tag)

    def nack(self, message: Message) -> None:
        """Return the message to its place in the queue, for another consumer."""
        self._channel.basic_nack(message.tag, requeue=True)

    def fail(self, reason: BaseException) -> None:
        """Raise `reason` in whichever operation waits for this channel."""
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(reason)
        self._notify(reason)

    def close(self) -> None:
        """Close the channel; the broker requeues what was not acknowledged."""
        if self._channel.is_open:
            self._channel.close()

    @property
    def is_open(self) -> bool:
        """Whether the channel can still be used."""
        return bool(self._channel.is_open)

    async def _call(self, request: Callable[[], object]) -> Any:
        self._reply = asyncio.get_running_loop().create_future()
        request()
        try:
            async with asyncio.timeout(REPLY_TIMEOUT_S):
                return await self._reply
        finally:
            self._reply = None

    def _on_reply(self, reply: Any) -> None:
        if self._reply is not None and not self._reply.done():
            self._reply.set_result(reply)

    def _on_confirm(self, frame: Any) -> None:
        self._on_reply(frame.method)

    def _on_return(self, *_message: object) -> None:
        self._returned = True

    def _notify(self, reason: BaseException) -> None:
        if self._inbox is not None:
            self._inbox.put_nowait(reason)


def _as_message(take: Callable[[Message], None]) -> Callable[..., None]:
    def delivered(_channel: object, method: Any, properties: Any, body: bytes) -> None:
        take(Message(body, properties.priority or 0, method.delivery_tag))

    return delivered
