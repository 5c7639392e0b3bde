"""The fork server and the decoding processes that it makes, as seen from here. Nothing that they say is believed."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from typing import Any

from renderctl.core.errors import DecoderUnavailable

_MESSAGE = 1 << 16
#: What keeps messages apart, where there is such a thing.
_SOCKET_TYPE = socket.SOCK_SEQPACKET if sys.platform == "linux" else socket.SOCK_STREAM
#: Seconds in which a process has to be there; Python and OpenImageIO may have to come from a slow disk.
_START_S = 60.0
#: Seconds in which one that has just been started notices that nobody wants it.
_END_S = 2.0


class ProcessEnded(Exception):
    """A decoding process has ended, or says what makes no sense, before it has answered."""


class DecodeTimeout(Exception):
    """A decoding process has not answered in time."""


class DecodingProcess:
    """One process that decodes. For one thread at a time; `kill` from any."""

    def __init__(self, requests: socket.socket, handle: int | None, pid: int, *, shut: bool = False) -> None:
        self.decoded = 0  #: images so far
        self.shut = shut  #: whether files and the network are out of its reach
        self.pid = pid
        self._requests = requests
        self._handle = handle

    def ask(self, request: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        """Its answer. Raises ProcessEnded, TookTooLong; then it is of no more use."""
        self.decoded += 1
        self._requests.settimeout(timeout_s)
        try:
            self._requests.sendall(json.dumps(request).encode())
            message = self._requests.recv(_MESSAGE)
        except TimeoutError as error:
            raise DecodeTimeout from error
        except OSError as error:
            raise ProcessEnded from error
        return _parse(message)

    def kill(self) -> None:
        """End it, whatever it does."""
        self._requests.close()
        with suppress(ProcessLookupError, PermissionError):
            if self._handle is None:
                os.kill(self.pid, signal.SIGKILL)
            else:
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


class ForkServer:
    """Makes decoding processes, from any thread. It ends with this process, since then its socket does."""

    def __init__(self) -> None:
        control, others = socket.socketpair(socket.AF_UNIX, _SOCKET_TYPE)
        environment = {"PATH": os.defpath, "LANG": "C.UTF-8", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        with others:
            try:
                self._process = subprocess.Popen(
                    (sys.executable, "-I", "-m", "renderctl.decoder.fork_server"),
                    stdin=others.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    cwd="/",
                    env=environment,
                    start_new_session=True,  # Ctrl-C is for us
                )
            except OSError as error:
                control.close()
                raise DecoderUnavailable(f"What decodes images can not be started: {error}.") from error
        self._control = control
        self._lock = threading.Lock()
        self._has_forked = False  # so it is past its start, of which it would leave a folder behind

    def fork(self, order: dict[str, Any]) -> DecodingProcess:
        """A process within the sandbox that the order describes. Raises ProcessEnded when the server is dead."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, _SOCKET_TYPE)
        with theirs:
            try:
                with self._lock:
                    socket.send_fds(self._control, [json.dumps(order).encode()], [theirs.fileno()])
            except OSError as error:
                ours.close()
                raise ProcessEnded from error
        ours.settimeout(_START_S)
        handles: list[int] = []
        try:
            message, handles, _, _ = socket.recv_fds(ours, _MESSAGE, 1)
            started = _parse(message)
            pid, shut = int(started["pid"]), bool(started["shut"])
            self._has_forked = True
        except (OSError, KeyError, ProcessEnded) as error:
            ours.close()
            for handle in handles:
                os.close(handle)
            raise ProcessEnded from error
        return DecodingProcess(ours, handles[0] if handles else None, pid, shut=shut)

    def close(self) -> None:
        """End it, and with it every process that it has made."""
        self._control.close()
        if self._has_forked or not self._ends_by_itself():
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _ends_by_itself(self) -> bool:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_S)
            return True
        return False


def _parse(message: bytes) -> dict[str, Any]:
    try:
        document = json.loads(message)
    except (ValueError, RecursionError) as error:
        raise ProcessEnded from error
    if not isinstance(document, dict):
        raise ProcessEnded
    return document
