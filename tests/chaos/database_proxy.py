"""`python -m tests.chaos.database_proxy PORT TARGET`: what stands between a farm and its MySQL.

It breaks the connection when a COMMIT goes through, so that nobody hears of it, at once or while the server is still at
it; leads to another server; and shows the clock of the server as another time.
"""

import asyncio
import re
import sys
from collections import Counter
from contextlib import suppress
from typing import Any

from tests.chaos.proxy import run_proxy

_CHUNK = 1 << 16
_QUERY, _COMMIT = b"\x03", b"\x03COMMIT"
_CLOCK = re.compile(rb"utc_timestamp\(6\)", re.IGNORECASE)
#: `severs`: how many of the next COMMITs nobody hears of; `late_s`: seconds that the server begins them later;
#: `skew_s`: what the clock of the database is ahead; `target`: the port of the server.
state: dict[str, Any] = {"severs": 0, "late_s": 0.0, "skew_s": 0, "target": 0}
counts: Counter[str] = Counter()


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry one connection."""
    with suppress(OSError):
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", state["target"])
        await asyncio.gather(_questions(reader, to_writer, writer), _answers(to_reader, writer))
        to_writer.transport.abort()
    writer.transport.abort()


async def _questions(reader: asyncio.StreamReader, to_server: asyncio.StreamWriter, to_client: Any) -> None:
    with suppress(OSError):
        while chunk := await reader.read(_CHUNK):
            if chunk[4:] == _COMMIT and state["severs"] > 0:
                state["severs"] -= 1
                counts["severed"] += 1
                to_client.transport.abort()
                await asyncio.sleep(state["late_s"])
            to_server.write(_of_another_time(chunk))
            await to_server.drain()
    with suppress(OSError):
        to_server.write_eof()


async def _answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Whatever the client hears of it: an answer that nobody takes is taken from the server, which goes on."""
    while chunk := await reader.read(_CHUNK):
        with suppress(OSError):
            writer.write(chunk)
            await writer.drain()
    writer.transport.abort()


def _of_another_time(chunk: bytes) -> bytes:
    """A statement that asks for the time asks for another one; it comes whole, for the client waits for its answer."""
    length = int.from_bytes(chunk[:3], "little")
    if not state["skew_s"] or chunk[4:5] != _QUERY or length != len(chunk) - 4 or not _CLOCK.search(chunk):
        return chunk
    skewed = b"(UTC_TIMESTAMP(6) + INTERVAL %d SECOND)" % state["skew_s"]
    query = _CLOCK.sub(skewed, chunk[4:])
    counts["asked for the time"] += 1
    return len(query).to_bytes(3, "little") + chunk[3:4] + query


if __name__ == "__main__":
    state["target"] = int(sys.argv[2])
    run_proxy(serve, state, counts, int(sys.argv[1]))
