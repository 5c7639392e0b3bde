"""A connection that is kept: opened when it is first needed, and again, with patience, whenever it is lost."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from pika.adapters.asyncio_connection import AsyncioConnection
from pika.exceptions import AMQPError

from renderctl.queues.rabbitmq.address import Address
from renderctl.queues.rabbitmq.channel import ANSWER_S, Channel
from renderctl.queues.rabbitmq.failures import Blocked, QueueGone, is_gone, unavailable

logger = logging.getLogger(__name__)
# What goes wrong is raised in our words; pika would tell it a second time.
logging.getLogger("pika").setLevel(logging.CRITICAL)

#: Seconds before a lost connection is tried again: doubled each time up to the limit, and spread by a half either way.
_PAUSE_S, _PAUSE_LIMIT_S = 0.1, 5.0
#: Seconds that a broker has to say goodbye.
_GOODBYE_S = 1.0


class Link:
    """One connection and its channels. It lives in the loop of one thread.

    Who comes first waits until it is open. While it is away, everyone hears at once why.
    """

    def __init__(self, address: Address, *, publishing: bool) -> None:
        self._address = address
        self._publishing = publishing
        self._keeper: asyncio.Task[None] | None = None
        self._latest: Any = None  # pika's connection, open or not
        self._ended: asyncio.Future[BaseException] | None = None  # what has ended it
        self._settled = asyncio.Event()  # whether the broker can be reached is known
        self._reason: BaseException | None = None  # why it can not
        self._pause_s = _PAUSE_S
        self._lent: set[Channel] = set()
        self._free: list[Channel] = []
        self._blocked: Blocked | None = None
        self.known: set[str] = set()  #: queues that are there, as far as this connection has seen

    async def server(self) -> str:
        """What answers: product and version. Raises QueueUnavailable."""
        properties = (await self._open()).server_properties
        return f"{properties.get('product', 'broker')} {properties.get('version', '')}".strip()

    @asynccontextmanager
    async def channel(self) -> AsyncIterator[Channel]:
        """A channel for one errand. Whatever the errand fails of becomes QueueUnavailable, but QueueGone stays."""
        connection = await self._open()
        if self._blocked is not None:
            raise unavailable(self._blocked, self._address)
        try:
            channel = self._take_free() or await Channel.open(connection, confirming=self._publishing)
            self._lent.add(channel)
            try:
                yield channel
            except BaseException:
                channel.close()
                raise
            finally:
                self._lent.discard(channel)
            self._free.append(channel)
        except TimeoutError as error:
            _cut(connection, error)
            raise unavailable(error, self._address) from error
        except AMQPError as error:
            if is_gone(error):
                self.known.clear()
                raise QueueGone(str(error)) from error
            raise unavailable(error, self._address) from error

    async def close(self) -> None:
        """Say goodbye, but do not wait long for an answer."""
        if self._keeper is None or self._ended is None:
            return
        self._keeper.cancel()
        if not self._latest.is_closed:
            if not self._latest.is_closing:
                self._latest.close()
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(self._ended), _GOODBYE_S)
        if not self._ended.done():
            _cut(self._latest, TimeoutError())
            await self._ended

    def _take_free(self) -> Channel | None:
        while self._free:
            channel = self._free.pop()
            if channel.usable:
                return channel
        return None

    async def _open(self) -> Any:
        """The open connection. Raises QueueUnavailable."""
        if self._keeper is None:
            self._keeper = asyncio.create_task(self._keep())
        try:
            async with asyncio.timeout(2 * ANSWER_S):  # the search for the host's name has no limit of its own
                await self._settled.wait()
        except TimeoutError as error:
            self._down(error)
        if self._reason is not None:
            raise unavailable(self._reason, self._address) from self._reason
        return self._latest

    async def _keep(self) -> None:
        while True:
            self._ended = asyncio.get_running_loop().create_future()
            self._latest = AsyncioConnection(
                self._address.parameters,
                on_open_callback=self._up,
                on_open_error_callback=self._end,
                on_close_callback=self._end,
            )
            self._latest.add_on_connection_blocked_callback(self._block)
            self._latest.add_on_connection_unblocked_callback(self._unblock)
            self._down(await asyncio.shield(self._ended))  # it outlives this task
            await asyncio.sleep(self._pause_s * random.uniform(0.5, 1.5))
            self._pause_s = min(2 * self._pause_s, _PAUSE_LIMIT_S)

    def _up(self, _connection: object) -> None:
        if self._reason is not None:
            logger.info("RabbitMQ at %s is back", self._address)
        self._reason = None
        self._pause_s = _PAUSE_S
        self._settled.set()

    def _end(self, _connection: object, reason: BaseException) -> None:
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(reason)

    def _down(self, reason: BaseException) -> None:
        self._reason = reason
        self._blocked = None
        self._free.clear()
        self.known.clear()
        self._settled.set()

    def _block(self, _connection: object, frame: Any) -> None:
        """Nothing that we send is read any more: those who wait for a confirmation wait in vain."""
        self._blocked = Blocked(frame.method.reason)
        for channel in list(self._lent):
            channel.fail(self._blocked)

    def _unblock(self, _connection: object, _frame: object) -> None:
        self._blocked = None


def _cut(connection: Any, reason: Exception) -> None:
    """End a connection of which the other side is silent: what pika itself does when heartbeats stay away."""
    if not connection.is_closed:
        connection._terminate_stream(reason)
