"""Clients of the fork server and its decoding processes, whose responses are not trusted."""

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

_MAX_MESSAGE_BYTES = 1 << 16
#: A socket type with message boundaries, where the system has one.
_SOCKET_TYPE = socket.SOCK_SEQPACKET if sys.platform == "linux" else socket.SOCK_STREAM
#: Seconds for a process to start; Python and OpenImageIO may be on a slow disk.
_START_TIMEOUT_S = 60.0
#: Seconds for a starting server to notice that its socket is closed.
_EXIT_TIMEOUT_S = 2.0


class ProcessEnded(Exception):
    """A decoding process ended, or sent an invalid response."""


class DecodeTimeout(Exception):
    """A decoding process did not respond in time."""


class DecodingProcess:
    """A decoding process. For one thread at a time; `kill` is safe from any."""

    def __init__(self, requests: socket.socket, pidfd: int | None, pid: int, *, sandboxed: bool = False) -> None:
        self.decoded = 0  #: number of images so far
        self.sandboxed = sandboxed  #: whether files and the network are restricted
        self.pid = pid
        self._requests = requests
        self._pidfd = pidfd

    def ask(self, request: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        """Send a request and return the response. Raises ProcessEnded, DecodeTimeout; then it must be killed."""
        self.decoded += 1
        self._requests.settimeout(timeout_s)
        try:
            self._requests.sendall(json.dumps(request).encode())
            message = self._requests.recv(_MAX_MESSAGE_BYTES)
        except TimeoutError as error:
            raise DecodeTimeout from error
        except OSError as error:
            raise ProcessEnded from error
        return _parse(message)

    def kill(self) -> None:
        """Kill the process."""
        self._requests.close()
        with suppress(ProcessLookupError, PermissionError):
            if self._pidfd is None:
                os.kill(self.pid, signal.SIGKILL)
            else:
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        if self._pidfd is not None:
            os.close(self._pidfd)
            self._pidfd = None


class ForkServer:
    """Starts decoding processes, from any thread. It ends with this process, which holds its socket."""

    def __init__(self) -> None:
        control, child_end = socket.socketpair(socket.AF_UNIX, _SOCKET_TYPE)
        environment = {"PATH": os.defpath, "LANG": "C.UTF-8", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        with child_end:
            try:
                self._process = subprocess.Popen(
                    (sys.executable, "-I", "-m", "renderctl.decoder.fork_server"),
                    stdin=child_end.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    cwd="/",
                    env=environment,
                    start_new_session=True,  # Ctrl-C is for the parent only
                )
            except OSError as error:
                control.close()
                raise DecoderUnavailable(f"The image decoder cannot be started: {error}.") from error
        self._control = control
        self._lock = threading.Lock()
        self._has_forked = False  # then its start is over, and its temporary folder removed

    def fork(self, options: dict[str, Any]) -> DecodingProcess:
        """Fork a process with the sandbox of the options. Raises ProcessEnded if the server is dead."""
        own_end, child_end = socket.socketpair(socket.AF_UNIX, _SOCKET_TYPE)
        with child_end:
            try:
                with self._lock:
                    socket.send_fds(self._control, [json.dumps(options).encode()], [child_end.fileno()])
            except OSError as error:
                own_end.close()
                raise ProcessEnded from error
        own_end.settimeout(_START_TIMEOUT_S)
        pidfds: list[int] = []
        try:
            message, pidfds, _, _ = socket.recv_fds(own_end, _MAX_MESSAGE_BYTES, 1)
            response = _parse(message)
            pid, sandboxed = int(response["pid"]), bool(response["sandboxed"])
            self._has_forked = True
        except (OSError, KeyError, ProcessEnded) as error:
            own_end.close()
            for pidfd in pidfds:
                os.close(pidfd)
            raise ProcessEnded from error
        return DecodingProcess(own_end, pidfds[0] if pidfds else None, pid, sandboxed=sandboxed)

    def close(self) -> None:
        """End the server and all its processes."""
        self._control.close()
        if self._has_forked or not self._exits():
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def _exits(self) -> bool:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_EXIT_TIMEOUT_S)
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
