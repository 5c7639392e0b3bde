"""The program that makes decoding processes: `python -m renderctl.decoder.fork_server`, its standard input a socket.

It loads OpenImageIO once and never reads an image. For each message, which brings a socket along, it forks a process
that shuts itself into a sandbox and answers requests on that socket: a fork takes milliseconds where a start takes
tenths of seconds. When its own socket ends, since whoever started it is gone, it ends with every process that it made.
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

#: Bytes of a message: a JSON document.
MAX_MESSAGE_BYTES = 1 << 16
_DIE_WITH_PARENT = 1  #: PR_SET_PDEATHSIG
#: Where the libraries lie of which parts may be loaded only when they are first used. Of the system it needs nothing.
_LIBRARIES = tuple(
    str(folder)
    for package in (np, oiio, os)
    for folder in (Path(str(package.__file__)).parent, Path(f"{Path(str(package.__file__)).parent}.libs"))
)


def main() -> None:
    control = socket.socket(fileno=0)
    with TemporaryDirectory() as folder:
        pixels.warm_up(Path(folder))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for them
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
        for each in sockets:
            os.close(each)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(0, signal.SIGTERM)


def _decode(requests: socket.socket, order: dict[str, Any], server: int) -> None:
    """Answer requests from within a sandbox until there are no more."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != server:
        return
    pixels.set_limits(order["image_mb"])
    paths = [("--read", path) for path in (*order["reads"], *_LIBRARIES)]
    paths += [("--write", path) for path in order["writes"]]
    shut = apply(paths, order["memory_mb"], order["file_mb"], call_filter())
    # a handle on this very process, whose number another one could get after it
    handles = [os.pidfd_open(os.getpid())] if sys.platform == "linux" else []
    socket.send_fds(requests, [json.dumps({"pid": os.getpid(), "shut": shut}).encode()], handles)
    for handle in handles:
        os.close(handle)
    while message := requests.recv(MAX_MESSAGE_BYTES):
        requests.sendall(json.dumps(_answer(json.loads(message), order)).encode())


def _answer(request: dict[str, Any], order: dict[str, Any]) -> dict[str, Any]:
    path = Path(request["path"])
    try:
        if "target" in request:
            pixels.write_thumbnail(path, Path(request["target"]), request["side"], image_mb=order["image_mb"])
            return {}
        size = {"width": request["width"], "height": request["height"]}
        return {"facts": asdict(pixels.verify(path, **size, image_mb=order["image_mb"]))}
    except BadImage as error:
        return {"bad": error.message[:2000], "refused": isinstance(error, ImageRefused), "hint": error.hint}
    except MemoryError:
        bad = f"{path.name} needs more memory to be decoded than there is for that."
        return {"bad": bad, "refused": True, "hint": f"decoder.memory_mb is {order['memory_mb']}."}
    except Exception as error:
        return {"bad": f"{path.name} can not be decoded: {type(error).__name__}: {error}"[:2000], "refused": False}


if __name__ == "__main__":
    main()
