"""Events of the server, as they come; a connection that breaks is made again."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

import urllib3

from renderctl.client.http import HttpClient
from renderctl.client.responses import lines_of, parsed
from renderctl.core.clocks import Clock
from renderctl.core.errors import ServerUnavailable
from renderctl.core.outages import OutageGrace

#: Seconds without a sign of life after which a connection counts as broken, and between two tries to make it again.
_SILENT_S, _AGAIN_S = 30.0, 1.0
#: The kind of an event, and its document.
Event = tuple[str, object]


def events(
    api: HttpClient, path: str, query: Mapping[str, object], clock: Clock, until: float | None
) -> Iterator[Event | None]:
    """(kind, document) of every event; None when time is up, which is at `until` of the clock's monotonic time.

    What was told before a break may be told again, and what happened meanwhile may not: an event is a hint.
    Raises Unreachable, and what the server says of the address.
    """
    patience = OutageGrace(clock)
    while True:
        left_s = _SILENT_S if until is None else min(_SILENT_S, until - clock.monotonic())
        if left_s <= 0:
            yield None
            return
        with patience.tolerate(), _silence_is_no_failure(), api.opened(path, query, patience_s=left_s) as answer:
            for event in _read(answer, api.most_bytes):
                patience.recovered()
                yield event
                if until is not None and clock.monotonic() >= until:
                    break
        clock.wait(None, _AGAIN_S if until is None else min(_AGAIN_S, max(0.0, until - clock.monotonic())))


@contextmanager
def _silence_is_no_failure() -> Iterator[None]:
    """Where nothing happens nothing is told; whether the connection still stands is seen by making another."""
    try:
        yield
    except ServerUnavailable as error:
        if not isinstance(error.__cause__, urllib3.exceptions.ReadTimeoutError):
            raise


def _read(answer: urllib3.BaseHTTPResponse, most_bytes: int) -> Iterator[Event]:
    kind = ""
    for line in lines_of(answer, most_bytes):
        name, _, value = line.partition(b": ")
        if name == b"event":
            kind = value.decode(errors="replace")
        elif name == b"data":
            with suppress(ValueError):
                yield kind, parsed(value)
