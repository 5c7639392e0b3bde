"""The fork server of decoding processes: `python -m renderctl.decoder.fork_server`, with a socket as standard input.

It loads OpenImageIO once and never reads an image. For each message, which carries a socket, it forks a process that
enters a sandbox and serves requests on that socket: a fork takes milliseconds, a start tenths of seconds. It ends with
all its processes when its own socket is closed.
"""

import ctypes
import json
import os
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import OpenImageIO as oiio

from renderctl.core.errors import BadImage, ImageRefused
from renderctl.decoder import pixels
from renderctl.executors.apply_sandbox import apply
from renderctl.executors.system_calls import call_filter

#: Bytes of a message, a JSON document.
MAX_MESSAGE_BYTES = 1 << 16
_DIE_WITH_PARENT = 1  #: PR_SET_PDEATHSIG
#: Folders of libraries, parts of which are loaded on first use. Nothing else of the system is needed.
_LIBRARIES = tuple(
    str(folder)
    for package in (np, oiio, os)
    for folder in (Path(str(package.__file__)).parent, Path(f"{Path(str(package.__file__)).parent}.libs"))
)


def main() -> None:
    """Fork a process for each message until the socket is closed."""
    control = socket.socket(fileno=0)
    with TemporaryDirectory() as folder:
        pixels.warm_up(Path(folder))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # children are reaped by the kernel
    server = os.getpid()
    while True:
        message, sockets, _, _ = socket.recv_fds(control, MAX_MESSAGE_BYTES, 1)
        if not message:
            break
        if os.fork() == 0:
            control.close()
            status = 1
            try:
                _decode(socket.socket(fileno=sockets[0]), json.loads(message), server)
                status = 0
            finally:
                os._exit(status)
        for descriptor in sockets:
            os.close(descriptor)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(0, signal.SIGTERM)


def _decode(requests: socket.socket, options: dict[str, Any], server: int) -> None:
    """Enter the sandbox, then serve requests until the socket is closed."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != server:
        return
    pixels.set_limits(options["image_mb"])
    paths = [("--read", path) for path in (*options["reads"], *_LIBRARIES)]
    paths += [("--write", path) for path in options["writes"]]
    sandboxed = apply(paths, options["memory_mb"], options["file_mb"], call_filter())
    # a process id could be reused, a pidfd cannot
    pidfds = [os.pidfd_open(os.getpid())] if sys.platform == "linux" else []
    socket.send_fds(requests, [json.dumps({"pid": os.getpid(), "sandboxed": sandboxed}).encode()], pidfds)
    for pidfd in pidfds:
        os.close(pidfd)
    while message := requests.recv(MAX_MESSAGE_BYTES):
        requests.sendall(json.dumps(_answer(json.loads(message), options)).encode())


def _answer(request: dict[str, Any], options: dict[str, Any]) -> dict[str, Any]:
    path = Path(request["path"])
    try:
        if "target" in request:
            pixels.write_thumbnail(path, Path(request["target"]), request["side"], image_mb=options["image_mb"])
            return {}
        size = {"width": request["width"], "height": request["height"]}
        return {"facts": asdict(pixels.verify(path, **size, image_mb=options["image_mb"]))}
    except BadImage as error:
        return {"bad": error.message[:2000], "refused": isinstance(error, ImageRefused), "hint": error.hint}
    except MemoryError:
        bad = f"{path.name} needs more memory to decode than the limit."
        return {"bad": bad, "refused": True, "hint": f"decoder.memory_mb is {options['memory_mb']}."}
    except Exception as error:
        return {"bad": f"{path.name} cannot be decoded: {type(error).__name__}: {error}"[:2000], "refused": False}


if __name__ == "__main__":
    main()
