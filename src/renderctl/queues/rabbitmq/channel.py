"""A channel whose answers can be awaited. It does one thing after the other, so that a failure has one cause."""

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pika

from renderctl.queues.rabbitmq.errors import QueueGone

#: Seconds that the broker has for an answer.
ANSWER_S = 5.0


@dataclass(frozen=True)
class Message:
    """A delivery that is not yet acknowledged."""

    body: bytes
    priority: int
    tag: int


#: What one who waits hears: a message, a reason to give up, or None from whoever has waited long enough.
Inbox = asyncio.Queue[Message | BaseException | None]


class Channel:
    """One channel of a connection, lent for one errand at a time.

    Its methods raise TimeoutError when the broker does not answer, and what has closed the channel.
    """

    def __init__(self, connection: Any) -> None:
        self._answer: asyncio.Future[Any] | None = None
        self._inbox: Inbox | None = None
        self._numbers = itertools.count()
        self._consumers: list[str] = []
        self._returned = False
        self._channel = connection.channel(on_open_callback=self._answered)
        self._channel.add_on_close_callback(lambda _channel, reason: self.fail(reason))

    @classmethod
    async def open(cls, connection: Any, *, confirming: bool) -> "Channel":
        """One that publishes and is told what became of it, or one that takes one message for each consumer."""
        self = cls(connection)
        await self._asked(lambda: None)
        if confirming:
            self._channel.add_on_return_callback(self._was_returned)
            await self._asked(lambda: self._channel.confirm_delivery(self._confirmed, self._answered))
        else:
            self._channel.add_on_cancel_callback(lambda _frame: self._hear(QueueGone("it was deleted")))
            self._channel.add_callback(lambda _frame: self._answered(None), [pika.spec.Basic.GetEmpty], one_shot=False)
            await self._asked(lambda: self._channel.basic_qos(prefetch_count=1, callback=self._answered))
        return self

    async def declare(self, queue: str, arguments: dict[str, Any]) -> None:
        """Make the queue if it is not there."""
        await self._asked(
            lambda: self._channel.queue_declare(queue, durable=True, arguments=arguments, callback=self._answered)
        )

    async def publish(self, queue: str, body: bytes, properties: pika.BasicProperties) -> None:
        """Returns when the broker has it safe. Raises QueueGone."""
        self._returned = False
        answer = await self._asked(lambda: self._channel.basic_publish("", queue, body, properties, mandatory=True))
        if self._returned or isinstance(answer, pika.spec.Basic.Nack):
            raise QueueGone("it took no ticket")

    async def get(self, queue: str) -> Message | None:
        """The first message, or None."""
        found: Message | None = await self._asked(lambda: self._channel.basic_get(queue, _as_message(self._answered)))
        return found

    async def consume(self, queue: str, inbox: Inbox) -> None:
        """Have the next message of the queue put into the inbox, until `leave`."""
        self._inbox = inbox
        tag = f"slot-{next(self._numbers)}"
        heard = _as_message(inbox.put_nowait)
        await self._asked(lambda: self._channel.basic_consume(queue, heard, consumer_tag=tag, callback=self._answered))
        self._consumers.append(tag)

    async def leave(self) -> None:
        """No more messages; one that is on its way to us goes back."""
        while self._consumers:
            tag = self._consumers.pop()
            if tag in self._channel.consumer_tags:  # else the broker has canceled it
                await self._asked(lambda: self._channel.basic_cancel(tag, self._answered))  # noqa: B023
        self._inbox = None

    def acknowledge(self, message: Message) -> None:
        """It is ours."""
        self._channel.basic_ack(message.tag)

    def give_back(self, message: Message) -> None:
        """It is for another one, in its old place."""
        self._channel.basic_nack(message.tag, requeue=True)

    def fail(self, reason: BaseException) -> None:
        """Whoever waits for this channel hears why it is in vain."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(reason)
        self._hear(reason)

    def close(self) -> None:
        """What was not acknowledged goes back."""
        if self._channel.is_open:
            self._channel.close()

    @property
    def usable(self) -> bool:
        return bool(self._channel.is_open)

    async def _asked(self, ask: Callable[[], object]) -> Any:
        self._answer = asyncio.get_running_loop().create_future()
        ask()
        try:
            async with asyncio.timeout(ANSWER_S):
                return await self._answer
        finally:
            self._answer = None

    def _answered(self, answer: Any) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(answer)

    def _confirmed(self, frame: Any) -> None:
        self._answered(frame.method)

    def _was_returned(self, *_message: object) -> None:
        self._returned = True

    def _hear(self, reason: BaseException) -> None:
        if self._inbox is not None:
            self._inbox.put_nowait(reason)


def _as_message(take: Callable[[Message], None]) -> Callable[..., None]:
    def delivered(_channel: object, method: Any, properties: Any, body: bytes) -> None:
        take(Message(body, properties.priority or 0, method.delivery_tag))

    return delivered
