"""A proxy in front of a service, as a process of its own: it listens on one port, and does what it is told by lines.

`python -m tests.chaos.MODULE PORT` runs one; `Proxy` starts it and gives the orders.
"""

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.services.server import free_port

_HERE, _ROOT = "127.0.0.1", Path(__file__).parents[2]
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]


@dataclass
class Proxy:
    """One that runs; every order is carried out when `order` returns, and answered with its counts."""

    port: int
    process: "subprocess.Popen[str]"
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def order(self, **orders: object) -> Mapping[str, int]:
        """Set what it does from now on; how often it has done what."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with self._lock:
            self.process.stdin.write(json.dumps(orders) + "\n")
            self.process.stdin.flush()
            counts: dict[str, int] = json.loads(self.process.stdout.readline())
        return counts


@contextmanager
def running_proxy(module: str, target: int) -> Iterator[Proxy]:
    """A proxy in front of a port of this machine, for as long as the context."""
    port = free_port()
    command = [sys.executable, "-m", f"tests.chaos.{module}", str(port), str(target)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=_ROOT, text=True) as process:
        try:
            proxy = Proxy(port, process)
            proxy.order()  # it listens once it answers
            yield proxy
        finally:
            process.kill()


def run_proxy(serve: Serve, state: dict[str, Any], counts: Mapping[str, int], port: int) -> None:
    """The program of a proxy: what is ordered goes into its state."""

    async def listen() -> None:
        server = await asyncio.start_server(serve, _HERE, port)
        loop = asyncio.get_running_loop()

        def take(orders: Mapping[str, Any]) -> None:
            state.update(orders)
            print(json.dumps(counts), flush=True)

        def read() -> None:
            for line in sys.stdin:
                loop.call_soon_threadsafe(take, json.loads(line))
            loop.call_soon_threadsafe(server.close)

        threading.Thread(target=read, daemon=True).start()
        await server.serve_forever()

    asyncio.run(listen())
