"""`python -m tests.chaos.forwarder NAMESPACE ADDRESS PORT…`: ADDRESS:PORT there is 127.0.0.1:PORT here.

A socket stays in the network namespace that its maker was in; so one process can have a foot in each.
"""

import asyncio
import ctypes
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from socket import AF_INET, SO_REUSEADDR, SOCK_STREAM, SOL_SOCKET, socket

_CLONE_NEWNET = 0x40000000
_CHUNK = 1 << 16


def _enter(namespace: Path) -> None:
    libc = ctypes.CDLL(None, use_errno=True)  # Python has os.setns from 3.12 on
    with namespace.open() as file:
        if libc.setns(file.fileno(), _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"setns {namespace}")


def _listening(address: str, port: int) -> socket:
    listener = socket(AF_INET, SOCK_STREAM)
    listener.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
    listener.bind((address, port))
    return listener


async def _join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    """Carry bytes both ways until one side has no more."""
    with suppress(OSError):
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_carry(reader, to_writer), _carry(to_reader, writer))
    writer.transport.abort()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
        writer.write_eof()
    except OSError:
        writer.transport.abort()


async def _forward(listeners: dict[int, socket]) -> None:
    for port, listener in listeners.items():
        await asyncio.start_server(partial(_join, port=port), sock=listener)
    print("ready", flush=True)
    await asyncio.Event().wait()


def main(namespace: str, address: str, *ports: str) -> None:
    with Path("/proc/self/ns/net").open() as home:
        _enter(Path("/run/netns") / namespace)
        listeners = {int(port): _listening(address, int(port)) for port in ports}
        _enter(Path(f"/proc/self/fd/{home.fileno()}"))
    asyncio.run(_forward(listeners))


if __name__ == "__main__":
    main(*sys.argv[1:])
