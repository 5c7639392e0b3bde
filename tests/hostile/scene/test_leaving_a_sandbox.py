"""What a scene takes over tries to get out of its sandbox: by messages to the machine, and by outliving its session."""

import os
import socket
import sys
from pathlib import Path

import psutil
import pytest

from renderctl.executors import LaunchSpec, SessionProcess
from renderctl.executors.process import ProcessExecutor
from renderctl.executors.system_calls import call_filter

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not call_filter(), reason="needs a processor whose system calls are known"),
]

#: A log or a service manager listens like this; a pair of sockets that are connected sends elsewhere just as well.
_TELLS = """
import socket, sys
def tried(make):
    try:
        make().sendto(b"x", sys.argv[1])
    except OSError as error:
        return type(error).__name__
    return "done"
unix, datagram = socket.AF_UNIX, socket.SOCK_DGRAM
print(tried(lambda: socket.socket(unix, datagram)), tried(lambda: socket.socketpair(unix, datagram)[0]),
    tried(lambda: socket.socket(unix, socket.SOCK_RAW)), len(socket.socketpair()))
"""
_WATCHES = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
watch = libc.inotify_add_watch(libc.inotify_init(), sys.argv[1].encode(), 0x100)
print("watches" if watch >= 0 else os.strerror(ctypes.get_errno()))
"""
#: Without a parent, in a session of its own, and without a variable that it could be told by.
_LEAVES = """
import os, sys
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        stays = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
        os.execve(sys.executable, [sys.executable, "-c", stays], {})
    os._exit(0)
os.wait()
sys.stdin.read()
"""


def started(folder: Path, script: str, *arguments: str) -> SessionProcess:
    """A session that runs a script of Python."""
    launch = LaunchSpec((sys.executable, "-u", "-c", script, *arguments), folder / "scratch", folder / "log")
    return ProcessExecutor(folder / "drivers", os.environ).start(launch)


def test_a_session_sends_no_datagram_to_a_socket_of_the_machine(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(str(tmp_path / "log.sock"))
        log.setblocking(False)
        session = started(tmp_path, _TELLS, str(tmp_path / "log.sock"))
        try:
            assert session.receive(20) == "PermissionError PermissionError PermissionError 2"
        finally:
            session.stop()
        with pytest.raises(BlockingIOError):
            log.recv(10)


def test_a_session_learns_no_names_in_folders_that_it_may_not_read(tmp_path: Path) -> None:
    (tmp_path / "others").mkdir()
    session = started(tmp_path, _WATCHES, str(tmp_path / "others"))
    try:
        assert session.receive(20) == "Operation not permitted"
    finally:
        session.stop()


def test_nothing_of_a_session_outlives_it(tmp_path: Path) -> None:
    session = started(tmp_path, _LEAVES)
    child = psutil.Process(int(session.receive(20) or "0"))
    try:
        assert child.environ() == {}
        session.stop()
        assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
    finally:
        if child.is_running():
            child.kill()
