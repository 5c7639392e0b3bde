"""How a connection begins, and how it ends when nobody answers: where pika has to be helped."""

import asyncio
import logging
from typing import Any

from pika.adapters.asyncio_connection import AsyncioConnection
from pika.adapters.utils.connection_workflow import AMQPConnectionWorkflowAborted

from renderctl.queues.rabbitmq.url import BrokerUrl

# What goes wrong is raised in our words; pika would tell it a second time.
logging.getLogger("pika").setLevel(logging.CRITICAL)

#: Seconds that connecting may take, the search for the host's name included.
_CONNECT_S = 6.0
#: Seconds between two looks at an attempt that is given up.
_GLANCE_S = 0.05


async def open_connection(address: BrokerUrl) -> Any:
    """A new connection, or why there is none."""
    opening: list[Any] = []

    class Opening(AsyncioConnection):  # type: ignore[misc]
        """pika's way to give up an attempt fails during a handshake: then we close the connection ourselves."""

        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            opening.append(self)

    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[Any] = loop.create_future()
    workflow = Opening.create_connection([address.parameters], outcome.set_result, loop)
    try:
        await asyncio.wait([outcome], timeout=_CONNECT_S)
    finally:
        while not outcome.done():
            unfinished = [each for each in opening if not each.is_closed]
            for connection in unfinished:
                if not connection.is_closing:
                    connection.close()
            if not unfinished:
                workflow.abort()
            await asyncio.wait([outcome], timeout=_GLANCE_S)
    return TimeoutError() if isinstance(outcome.result(), AMQPConnectionWorkflowAborted) else outcome.result()


def abort(connection: Any, reason: Exception) -> None:
    """End a connection of which the other side is silent: what pika itself does when heartbeats stay away."""
    if not connection.is_closed:
        connection._terminate_stream(reason)
