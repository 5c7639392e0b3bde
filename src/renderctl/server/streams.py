"""Event streams: how many may be open, and that a user may still read them."""

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
from renderctl.server.authentication import Principal, reauthenticate
from renderctl.server.connection_limits import stop_counting

logger = logging.getLogger(__name__)

#: Seconds between two checks that the user may still read a stream.
CHECK_EVERY_S = 5.0
#: Seconds after which a user with too many streams may try again.
_RETRY_S = 5.0
#: Seconds that a client has to read the end of a stream.
_END_S = 1.0


class StreamLimits:
    """Counts open streams, in all and per user."""

    def __init__(self, limit: int, limit_per_user: int) -> None:
        self._limit = limit
        self._limit_per_user = limit_per_user
        self._open: Counter[str] = Counter()

    @contextmanager
    def open(self, user: str) -> Iterator[None]:
        """Count a stream for as long as the context lasts. Raises TooManyRequests, Overloaded."""
        if self._open[user] >= self._limit_per_user:
            hint = (
                "Close a page, or a command that follows something. The limit is serve.streams_per_user of the server."
            )
            raise TooManyRequests(
                f"You have {self._limit_per_user} streams open already.", hint=hint, retry_after_s=_RETRY_S
            )
        if self._open.total() >= self._limit:
            raise Overloaded("The server has no room for another stream.")
        self._open[user] += 1
        try:
            yield
        finally:
            self._open[user] -= 1
            if not self._open[user]:
                del self._open[user]


class EventStream(StreamingResponse):
    """A stream of events, which ends after the last one, or when the user may not read it any more.

    `check_access` gets the user, authenticated anew; it is called in a thread, and raises NotAllowed or NotFound.
    """

    media_type = "text/event-stream"

    def __init__(
        self,
        request: Request,
        events: AsyncIterator[bytes],
        principal: Principal,
        check_access: Callable[[Principal], None],
    ) -> None:
        super().__init__(events)
        self._request = request
        self._user = principal.actor.name
        self._check_access = check_access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        limits: StreamLimits = self._request.app.state.stream_limits
        is_complete = False

        async def send_tracked(message: Message) -> None:
            nonlocal is_complete
            await send(message)
            is_complete = message["type"] == "http.response.body" and not message.get("more_body", False)

        with limits.open(self._user):
            stop_counting(scope)
            with anyio.CancelScope() as stream:
                check = asyncio.create_task(self._cancel_when_refused(stream))
                try:
                    await super().__call__(scope, receive, send_tracked)
                finally:
                    check.cancel()
            if stream.cancelled_caught and not is_complete:
                with anyio.move_on_after(_END_S):
                    await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _cancel_when_refused(self, stream: anyio.CancelScope) -> None:
        await anyio.sleep(CHECK_EVERY_S)
        while await self._is_allowed():
            await anyio.sleep(CHECK_EVERY_S)
        stream.cancel()

    async def _is_allowed(self) -> bool:
        try:
            principal = await reauthenticate(self._request)
            await anyio.to_thread.run_sync(self._check_access, principal)
        except (NotAllowed, NotFound):
            return False
        except RenderctlError:  # an outage: the events come from the same database
            return True
        except Exception:
            logger.exception("A stream is closed: the check of its access failed.")
            return False
        return True
