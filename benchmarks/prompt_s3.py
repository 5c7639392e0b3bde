"""`python -m benchmarks.prompt_s3 MILLISECONDS`: an S3 on a port of its own that answers each request after that time.

It takes what it is given, remembers the names alone, and needs next to no processor: what is measured with it is the
client and the line, and no disk.
"""

import asyncio
import sys
from typing import ClassVar

_LIST = b"<ListBucketResult><Name>b</Name><IsTruncated>false</IsTruncated></ListBucketResult>"
_LOCATION = b"<LocationConstraint/>"


class _Connection(asyncio.Protocol):
    delay_s = 0.0
    names: ClassVar[set[str]] = set()

    def __init__(self) -> None:
        self._head = b""
        self._left = 0  #: bytes of the body that are to come
        self._request: list[str] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, content: bytes) -> None:
        if self._request is None:
            self._head += content
            head, end, content = self._head.partition(b"\r\n\r\n")
            if not end:
                return
            self._head = b""
            lines = head.decode().split("\r\n")
            self._request = lines[0].split(" ")
            lengths = [line.partition(":")[2] for line in lines if line.lower().startswith("content-length:")]
            self._left = int(lengths[0]) if lengths else 0
        self._left -= len(content)
        if self._left <= 0:
            answer, self._request = _answer(self._request[0], self._request[1], self.names), None
            asyncio.get_running_loop().call_later(self.delay_s, self._send, answer)

    def _send(self, answer: bytes) -> None:
        assert isinstance(self._transport, asyncio.Transport)
        self._transport.write(answer)


def _answer(method: str, target: str, names: set[str]) -> bytes:
    path, _, query = target.partition("?")
    if method == "PUT":
        names.add(path)
    if method == "HEAD" and path.count("/") > 1 and path not in names:
        return b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
    body = _LOCATION if query.startswith("location") else _LIST if method == "GET" else b""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nETag: 0\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"Last-Modified: Tue, 24 Nov 2026 09:00:00 GMT\r\n\r\n" + body


async def _serve(delay_s: float) -> None:
    _Connection.delay_s = delay_s
    server = await asyncio.get_running_loop().create_server(_Connection, "127.0.0.1", 0, backlog=200)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(float(sys.argv[1]) / 1000))
