"""Answers that go on for long: how many there may be, and for how long whoever reads one may do so."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager

import anyio
import anyio.to_thread
from fastapi import Request
from fastapi.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from renderctl.core.errors import NotAllowed, NotFound, Overloaded, RenderctlError, TooManyRequests
from renderctl.server.authentication import Principal, authenticate
from renderctl.server.connection_limits import uncount

logger = logging.getLogger(__name__)

#: Seconds, by the clock, after which it is asked again whether somebody may still read.
CHECK_EVERY_S = 5.0
#: Seconds after which whoever has too many open may ask again.
_RETRY_S = 5.0
#: Seconds that a reader has for the end of a stream.
_END_S = 1.0


class Streams:
    """The streams that are open: so many in all, and so many of each user."""

    def __init__(self, most: int, most_of_a_user: int) -> None:
        self._most = most
        self._most_of_a_user = most_of_a_user
        self._open: Counter[str] = Counter()

    @contextmanager
    def opened(self, user: str) -> Iterator[None]:
        """One more, for as long as the context. Raises TooManyRequests, Overloaded."""
        if self._open[user] >= self._most_of_a_user:
            hint = "Close a page or a command that follows; serve.streams_per_user of the server says how many."
            raise TooManyRequests(
                f"{self._most_of_a_user} streams of yours are open.", hint=hint, retry_after_s=_RETRY_S
            )
        if self._open.total() >= self._most:
            raise Overloaded("The server has as many streams open as it can.")
        self._open[user] += 1
        try:
            yield
        finally:
            self._open[user] -= 1
            if not self._open[user]:
                del self._open[user]


class EventStream(StreamingResponse):
    """Events, until there are no more or their reader may not read them any longer: the stream ends then.

    `may_read` gets who it is by now, in a thread, and raises NotAllowed or NotFound.
    """

    media_type = "text/event-stream"

    def __init__(
        self, request: Request, events: AsyncIterator[bytes], who: Principal, may_read: Callable[[Principal], None]
    ) -> None:
        super().__init__(events)
        self._request = request
        self._user = who.actor.name
        self._may_read = may_read

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        streams: Streams = self._request.app.state.streams
        over = False

        async def sending(message: Message) -> None:
            nonlocal over
            await send(message)
            over = message["type"] == "http.response.body" and not message.get("more_body", False)

        with streams.opened(self._user):
            uncount(scope)
            with anyio.CancelScope() as reading:
                check = asyncio.create_task(self._end_when_refused(reading))
                try:
                    await super().__call__(scope, receive, sending)
                finally:
                    check.cancel()
            if reading.cancelled_caught and not over:
                with anyio.move_on_after(_END_S):
                    await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _end_when_refused(self, reading: anyio.CancelScope) -> None:
        await anyio.sleep(CHECK_EVERY_S)
        while await self._is_allowed():
            await anyio.sleep(CHECK_EVERY_S)
        reading.cancel()

    async def _is_allowed(self) -> bool:
        try:
            who = await authenticate(self._request, fresh=True)
            await anyio.to_thread.run_sync(self._may_read, who)
        except (NotAllowed, NotFound):
            return False
        except RenderctlError:  # nobody can say, and what there is to read comes from where nobody can say it
            return True
        except Exception:
            logger.exception("A stream is ended: nobody knows whether it may be read.")
            return False
        return True
