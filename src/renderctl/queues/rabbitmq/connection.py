"""A connection that is opened on first use, and again, with exponential backoff, whenever it is lost."""

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

#: Seconds before a reconnect: doubled after each failure up to the limit, with a jitter of half either way.
_BACKOFF_S, _BACKOFF_LIMIT_S = 0.1, 5.0
#: Seconds that the broker has to confirm a close.
_CLOSE_TIMEOUT_S = 1.0


class ReconnectingConnection:
    """One connection and its channel pool, for use in one event loop.

    The first caller waits until it is open. While the broker is out of reach, every caller gets the error at once.
    """

    def __init__(self, url: BrokerUrl, *, publishing: bool) -> None:
        self._url = url
        self._publishing = publishing
        self._reconnect_task: asyncio.Task[None] | None = None
        self._connection: Any = None  # pika's, while it is open
        self._first_attempt_done = asyncio.Event()  # then `_connection` or `_last_error` is set
        self._last_error: BaseException | None = None  # why there is no connection
        self._in_use: set[Channel] = set()
        self._idle: list[Channel] = []
        self._blocked: Blocked | None = None
        self.declared_queues: set[str] = set()  #: names of queues that this connection has declared

    async def server(self) -> str:
        """Return the broker's product and version. Raises QueueUnavailable."""
        properties = (await self._get_connection()).server_properties
        return f"{properties.get('product', 'broker')} {properties.get('version', '')}".strip()

    @asynccontextmanager
    async def channel(self) -> AsyncIterator[Channel]:
        """Lend a channel for one operation. Raises QueueGone if a queue was deleted, else QueueUnavailable."""
        connection = await self._get_connection()
        if self._blocked is not None:
            raise unavailable(self._blocked, self._url)
        try:
            channel = self._take_idle() or await Channel.open(connection, confirming=self._publishing)
            self._in_use.add(channel)
            try:
                yield channel
            except BaseException:
                channel.close()
                raise
            finally:
                self._in_use.discard(channel)
            self._idle.append(channel)
        except TimeoutError as error:
            abort(connection, error)
            raise unavailable(error, self._url) from error
        except AMQPError as error:
            if is_gone(error):
                self.declared_queues.clear()
                raise QueueGone(str(error)) from error
            raise unavailable(error, self._url) from error

    async def close(self) -> None:
        """Close the connection, waiting at most a second for the broker."""
        if self._reconnect_task is not None:
            self._reconnect_task.cancel()
            await asyncio.wait([self._reconnect_task])

    def _take_idle(self) -> Channel | None:
        while self._idle:
            channel = self._idle.pop()
            if channel.is_open:
                return channel
        return None

    async def _get_connection(self) -> Any:
        """Return the open connection. Raises QueueUnavailable."""
        if self._reconnect_task is None:
            self._reconnect_task = asyncio.create_task(self._reconnect_forever())
        await self._first_attempt_done.wait()
        if self._last_error is not None:
            raise unavailable(self._last_error, self._url) from self._last_error
        return self._connection

    async def _reconnect_forever(self) -> None:
        backoff_s = _BACKOFF_S
        while True:
            outcome = await open_connection(self._url)
            if isinstance(outcome, BaseException):
                self._on_close(outcome)
            else:
                backoff_s = _BACKOFF_S
                self._on_close(await self._run_until_closed(outcome))
            await asyncio.sleep(backoff_s * random.uniform(0.5, 1.5))
            backoff_s = min(2 * backoff_s, _BACKOFF_LIMIT_S)

    async def _run_until_closed(self, connection: Any) -> BaseException:
        """Serve channels of the connection until it closes; returns the error that closed it."""
        closed: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
        connection.add_on_close_callback(lambda _connection, error: closed.set_result(error))
        connection.add_on_connection_blocked_callback(self._on_blocked)
        connection.add_on_connection_unblocked_callback(self._on_unblocked)
        self._on_open(connection)
        try:
            return await asyncio.shield(closed)
        finally:
            if not closed.done():
                if connection.is_open:
                    connection.close()
                await asyncio.wait([closed], timeout=_CLOSE_TIMEOUT_S)
                abort(connection, TimeoutError())
                await closed

    def _on_open(self, connection: object) -> None:
        if self._last_error is not None:
            logger.info("RabbitMQ at %s is back", self._url)
        self._connection, self._last_error = connection, None
        self._first_attempt_done.set()

    def _on_close(self, error: BaseException) -> None:
        self._connection, self._last_error, self._blocked = None, error, None
        self._idle.clear()
        self.declared_queues.clear()
        self._first_attempt_done.set()

    def _on_blocked(self, _connection: object, frame: Any) -> None:
        """The broker has stopped reading (connection.blocked): fail whoever waits for a confirmation."""
        self._blocked = Blocked(frame.method.reason)
        for channel in list(self._in_use):
            channel.fail(self._blocked)

    def _on_unblocked(self, _connection: object, _frame: object) -> None:
        self._blocked = None
