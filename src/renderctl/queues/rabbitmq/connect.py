"""Opening a connection and aborting a silent one: workarounds for what pika leaves open."""

import asyncio
import logging
from typing import Any

from pika.adapters.asyncio_connection import AsyncioConnection
from pika.adapters.utils.connection_workflow import AMQPConnectionWorkflowAborted

from renderctl.queues.rabbitmq.url import BrokerUrl

# Errors are raised as QueueUnavailable; pika would log each of them a second time.
logging.getLogger("pika").setLevel(logging.CRITICAL)

#: Seconds that connecting may take, name resolution included.
_CONNECT_TIMEOUT_S = 6.0
#: Seconds between two checks of an attempt that is being aborted.
_ABORT_POLL_S = 0.05


async def open_connection(url: BrokerUrl) -> Any:
    """Return a new connection, or the exception that prevented it."""
    connections: list[Any] = []

    class Connection(AsyncioConnection):  # type: ignore[misc]
        """Records each attempt: pika cannot abort one during its handshake, so those are closed here."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            connections.append(self)

    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[Any] = loop.create_future()
    workflow = Connection.create_connection([url.parameters], outcome.set_result, loop)
    try:
        await asyncio.wait([outcome], timeout=_CONNECT_TIMEOUT_S)
    finally:
        while not outcome.done():
            unclosed = [connection for connection in connections if not connection.is_closed]
            for connection in unclosed:
                if not connection.is_closing:
                    connection.close()
            if not unclosed:
                workflow.abort()
            await asyncio.wait([outcome], timeout=_ABORT_POLL_S)
    return TimeoutError() if isinstance(outcome.result(), AMQPConnectionWorkflowAborted) else outcome.result()


def abort(connection: Any, reason: Exception) -> None:
    """Drop a connection whose peer is silent, as pika itself does when heartbeats are missed."""
    if not connection.is_closed:
        connection._terminate_stream(reason)
