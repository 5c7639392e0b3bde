"""A connection that is kept: opened when it is first needed, and again, with patience, whenever it is lost."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from pika.exceptions import AMQPError

from renderctl.queues.rabbitmq.channel import Channel
from renderctl.queues.rabbitmq.connect import abort, open_connection
from renderctl.queues.rabbitmq.errors import Blocked, QueueGone, is_gone, unavailable
from renderctl.queues.rabbitmq.url import BrokerUrl

logger = logging.getLogger(__name__)

#: Seconds before a lost connection is tried again: doubled each time up to the limit, and spread by a half either way.
_PAUSE_S, _PAUSE_LIMIT_S = 0.1, 5.0
#: Seconds that a broker has to say goodbye.
_GOODBYE_S = 1.0


class ReconnectingConnection:
    """One connection and its channels. It lives in the loop of one thread.

    Who comes first waits until it is open. While it is away, everyone hears at once why.
    """

    def __init__(self, address: BrokerUrl, *, publishing: bool) -> None:
        self._address = address
        self._publishing = publishing
        self._keeper: asyncio.Task[None] | None = None
        self._connection: Any = None  # pika's, while it is open
        self._settled = asyncio.Event()  # whether the broker can be reached is known
        self._reason: BaseException | None = None  # why it can not
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
            abort(connection, error)
            raise unavailable(error, self._address) from error
        except AMQPError as error:
            if is_gone(error):
                self.known.clear()
                raise QueueGone(str(error)) from error
            raise unavailable(error, self._address) from error

    async def close(self) -> None:
        """Say goodbye, but do not wait long for an answer."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])

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
        await self._settled.wait()
        if self._reason is not None:
            raise unavailable(self._reason, self._address) from self._reason
        return self._connection

    async def _keep(self) -> None:
        pause_s = _PAUSE_S
        while True:
            outcome = await open_connection(self._address)
            if isinstance(outcome, BaseException):
                self._down(outcome)
            else:
                pause_s = _PAUSE_S
                self._down(await self._serve(outcome))
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.5))
            pause_s = min(2 * pause_s, _PAUSE_LIMIT_S)

    async def _serve(self, connection: Any) -> BaseException:
        """Lend channels of the connection until it ends; what has ended it."""
        ended: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
        connection.add_on_close_callback(lambda _connection, reason: ended.set_result(reason))
        connection.add_on_connection_blocked_callback(self._block)
        connection.add_on_connection_unblocked_callback(self._unblock)
        self._up(connection)
        try:
            return await asyncio.shield(ended)
        finally:
            if not ended.done():
                if connection.is_open:
                    connection.close()
                await asyncio.wait([ended], timeout=_GOODBYE_S)
                abort(connection, TimeoutError())
                await ended

    def _up(self, connection: object) -> None:
        if self._reason is not None:
            logger.info("RabbitMQ at %s is back", self._address)
        self._connection, self._reason = connection, None
        self._settled.set()

    def _down(self, reason: BaseException) -> None:
        self._connection, self._reason, self._blocked = None, reason, None
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
