"""`python -m tests.chaos.store_proxy PORT TARGET`: what stands between a farm and its S3.

It changes a byte of what is read, takes long for a DELETE, and says that the store is full to whoever puts.
"""

import asyncio
import re
import sys
from collections import Counter
from contextlib import suppress
from typing import Any

from tests.chaos.proxy import run_proxy

_CHUNK = 1 << 16
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
#: A blob: its key ends with its digest.
_BLOB = re.compile(rb"[0-9a-f]{64}( |\?|$)")
_FULL = (
    b"HTTP/1.1 507 Insufficient Storage\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n\r\n%s",
    b"<?xml version='1.0'?><Error><Code>InsufficientStorage</Code><Message>There is no room left.</Message></Error>",
)
#: `wrong`: whether blobs come with another byte; `full`: whether nothing can be put; `delete_s`: seconds of a DELETE.
state: dict[str, Any] = {"wrong": False, "full": False, "delete_s": 0.0}
counts: Counter[str] = Counter()


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry the requests of one connection, one after the other."""
    with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", int(sys.argv[2]))
        try:
            while await _exchange(reader, writer, to_reader, to_writer):
                pass
        finally:
            to_writer.transport.abort()
    writer.transport.abort()


async def _exchange(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    to_reader: asyncio.StreamReader,
    to_writer: asyncio.StreamWriter,
) -> bool:
    """One request and its answer; whether there may be another one."""
    head = await reader.readuntil(b"\r\n\r\n")
    method, path = head.split(b" ", 2)[:2]
    if state["full"] and (method == b"PUT" or b"?uploads" in path):
        await _discard(reader, head)
        counts["refused as full"] += 1
        writer.write(_FULL[0] % (len(_FULL[1]), _FULL[1]))
        await writer.drain()
        return True
    if state["delete_s"] and (method == b"DELETE" or (method == b"POST" and b"?delete" in path)):
        counts["slow deletes"] += 1
        await asyncio.sleep(state["delete_s"])
    to_writer.write(head)
    await _copy_body(reader, to_writer, head, wrong=False)
    answer = await to_reader.readuntil(b"\r\n\r\n")
    writer.write(answer)
    bodiless = method == b"HEAD" or answer.split(b" ", 2)[1] in (b"204", b"304")
    if not bodiless:
        wrong = state["wrong"] and method == b"GET" and bool(_BLOB.search(path)) and answer[9:12] in (b"200", b"206")
        counts["wrong blobs"] += wrong
        await _copy_body(to_reader, writer, answer, wrong=wrong)
    await writer.drain()
    return b"\r\nconnection: close" not in answer.lower()


async def _discard(reader: asyncio.StreamReader, head: bytes) -> None:
    length = _LENGTH.search(head)
    await reader.readexactly(int(length[1]) if length else 0)


async def _copy_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes, *, wrong: bool) -> None:
    """What follows a head; with `wrong`, its first byte is another one."""
    if _CHUNKED.search(head):
        while (size := await reader.readuntil(b"\r\n")) and int(size.split(b";")[0], 16):
            writer.write(size + await reader.readexactly(int(size.split(b";")[0], 16) + 2))
        writer.write(size + await reader.readuntil(b"\r\n"))
        return
    length = _LENGTH.search(head)
    left = int(length[1]) if length else 0
    while left:
        chunk = await reader.read(min(left, _CHUNK))
        if not chunk:
            raise asyncio.IncompleteReadError(b"", left)
        left -= len(chunk)
        writer.write(bytes([chunk[0] ^ 1]) + chunk[1:] if wrong else chunk)
        wrong = False
        await writer.drain()


if __name__ == "__main__":
    run_proxy(serve, state, counts, int(sys.argv[1]))
