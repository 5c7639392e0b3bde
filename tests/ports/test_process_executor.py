"""What is special about sessions that are processes of this machine."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from renderctl.core.errors import BlenderMissing, SandboxTooWide, SessionEnded, Unreachable
from renderctl.executors import LaunchSpec, SessionProcess
from renderctl.executors.environment import session_environment
from renderctl.executors.process import ProcessExecutor, SandboxOptions
from renderctl.executors.sandbox import ForbiddenPaths, landlock_version
from tests.lacking import lacking
from tests.ports.test_executor import lives, until

pytestmark = pytest.mark.slow  # nearly all of them start a process

OWN = {
    "PATH": "/bin:/usr/bin",
    "LANG": "de_DE.UTF-8",
    "LD_LIBRARY_PATH": "/opt/lib",
    "CUDA_VISIBLE_DEVICES": "1",
    "NVIDIA_DRIVER_CAPABILITIES": "all",
    "RENDERCTL_STORE__SECRET_KEY": "hush",
    "RENDERCTL_DATABASE__URL": "mysql://root:hush@db/renderctl",
    "AWS_SECRET_ACCESS_KEY": "hush",
    "NVIDIA_API_KEY": "hush",
    "GITHUB_TOKEN": "hush",
    "HOME": "/home/artist",
    "XDG_CONFIG_HOME": "/home/artist/.config",
}


@contextmanager
def running(script: str, tmp_path: Path, environment: dict[str, str]) -> Iterator[SessionProcess]:
    executor = ProcessExecutor(tmp_path / "drivers", environment)
    argv = (sys.executable, "-u", "-c", script)
    session = executor.start(LaunchSpec(argv, tmp_path / "scratch", tmp_path / "launch.log"))
    try:
        yield session
    finally:
        session.stop()


def test_a_session_sees_drivers_and_no_secrets(tmp_path: Path) -> None:
    with running("import json, os; print(json.dumps(dict(os.environ)))", tmp_path, OWN) as session:
        seen = json.loads(session.receive(10) or "")
    assert "hush" not in str(seen)
    assert not [name for name in seen if name.startswith("RENDERCTL")]
    for name in ("PATH", "LANG", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES"):
        assert seen[name] == OWN[name]
    assert seen["HOME"] == str(tmp_path / "scratch/home")


_PROBE = """
import ctypes, json, os, signal, socket, sys, threading
given, other, worker, port, abstract, unix = *sys.argv[1:3], *map(int, sys.argv[3:5]), *sys.argv[5:]
libc = ctypes.CDLL(None, use_errno=True)
def tried(act):
    try:
        return act() and "done"
    except (OSError, MemoryError) as error:
        return type(error).__name__
def in_thread(act):
    came = []
    thread = threading.Thread(target=lambda: came.append(tried(act)))
    thread.start()
    thread.join()
    return came[0]
def in_child(act):
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.write(writing, tried(act).encode())
        os._exit(0)
    os.wait()
    return os.read(reading, 100).decode()
def call(name, *arguments):
    if getattr(libc, name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)
    return True
def connect(kind, address):
    return socket.socket(kind).connect(address) is None
print(json.dumps({
    "own input": tried(lambda: open(given).read()),
    "own scratch": tried(lambda: open("mine", "w").write("x")),
    "device": tried(lambda: os.mknod("disk", 0o60600, os.makedev(7, 0)) is None),
    "other": tried(lambda: open(other).read()),
    "other in a thread": in_thread(lambda: open(other).read()),
    "other in a child": in_child(lambda: open(other).read()),
    "input to write": tried(lambda: open(given, "a").write("x")),
    "gone input": tried(lambda: os.unlink(given) is None),
    "other to write": tried(lambda: open(other, "a").write("x")),
    "linked input": tried(lambda: os.link(given, "mine too") is None).replace("OSError", "PermissionError"),
    # the kernel says EXDEV to a link across a border
    "linked other": tried(lambda: os.link(other, "stolen") is None).replace("OSError", "PermissionError"),
    "list": tried(lambda: os.listdir(os.path.dirname(other))),
    "root": tried(lambda: os.listdir("/")),
    "passwords": tried(lambda: open("/etc/shadow").read()),
    "environment of the worker": tried(lambda: open(f"/proc/{worker}/environ").read()),
    "TCP": tried(lambda: connect(socket.AF_INET, ("127.0.0.1", port))),
    "server": tried(lambda: socket.create_server(("127.0.0.1", 0))),
    "abstract socket": tried(lambda: connect(socket.AF_UNIX, "\\0" + abstract)),
    "socket of the machine": tried(lambda: connect(socket.AF_UNIX, unix)),
    "UDP": tried(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", port))),
    "namespace": tried(lambda: call("unshare", 0x10000000)),
    "memory of the worker": tried(lambda: call("ptrace", 16, worker, 0, 0)),
    "keys": tried(lambda: call("syscall", 250 if os.uname().machine == "x86_64" else 219, 0, -4, 1)),
    "rights": tried(lambda: os.chmod(other, 0o777) is None),
    "times": tried(lambda: os.utime(other, (1, 1)) is None),
    "limits of the worker": tried(lambda: __import__("resource").prlimit(worker, 7)),
    "capabilities": int(open("/proc/self/status").read().split("CapEff:")[1].split()[0], 16) & ~2,
    "signal": tried(lambda: os.kill(worker, 0) is None),
    "memory": tried(lambda: bytearray(1 << 30)),
}))
"""
#: What is done, and what is answered as if it were.
_FINE = {"own input", "own scratch", "rights", "times"}


@pytest.mark.parametrize("memory_mb", [None, 512], ids=["renders", "only looks"])
def test_a_session_reaches_its_folders_alone(tmp_path: Path, memory_mb: int | None) -> None:
    if landlock_version() < 6:
        lacking("needs a kernel with Landlock (Linux 5.13 or newer, for all of this 6.12)")
    (tmp_path / "inputs").mkdir()
    given, other = tmp_path / "inputs/scene", tmp_path / "other"
    for file in (given, other):
        file.write_text("x")
    abstract = f"renderctl-{os.getpid()}"
    os.utime(other, (5, 5))
    before = other.stat()
    with ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        for address in (f"\0{abstract}", str(tmp_path / "engine.sock")):
            local = stack.enter_context(socket.socket(socket.AF_UNIX))
            local.bind(address)
            local.listen()
        told = (given, other, os.getpid(), server.getsockname()[1], abstract, tmp_path / "engine.sock")
        argv = (sys.executable, "-u", "-c", _PROBE, *map(str, told))
        launch = LaunchSpec(argv, tmp_path / "scratch", tmp_path / "log", inputs=(given.parent,), sandbox_mb=memory_mb)
        session = ProcessExecutor(tmp_path / "drivers", OWN).start(launch)
        came = json.loads(session.receive(20) or "{}")
        session.stop()
    assert came.pop("capabilities") == 0  # root keeps the one that opens its own files
    expected = {what: "done" if what in _FINE else "PermissionError" for what in came}
    assert came == {**expected, "memory": "MemoryError" if memory_mb else "done"}
    assert other.read_text() == given.read_text() == "x"
    assert (other.stat().st_mode, other.stat().st_mtime) == (before.st_mode, before.st_mtime)


def test_a_session_writes_no_larger_file_than_it_may(tmp_path: Path) -> None:
    script = "open('small', 'wb').write(bytes(1 << 19)); open('large', 'wb').write(bytes(1 << 21))"
    argv = (sys.executable, "-u", "-c", script)
    executor = ProcessExecutor(tmp_path / "drivers", OWN, SandboxOptions(scratch_mb=1))
    session = executor.start(LaunchSpec(argv, tmp_path / "scratch", tmp_path / "log"))
    with pytest.raises(SessionEnded):
        session.receive(20)
    session.stop()
    assert "File too large" in (tmp_path / "log").read_text()
    assert (tmp_path / "scratch/large").stat().st_size <= 1 << 20


def test_a_session_reads_and_writes_what_the_config_adds(tmp_path: Path) -> None:
    reads, writes = tmp_path / "luts", tmp_path / "shaders"
    for folder in (reads, writes):
        folder.mkdir()
    (reads / "film").write_text("warm")
    script = f"open('{writes}/new', 'w').write('x'); print(open('{reads}/film').read())"
    options = SandboxOptions(reads=(str(reads),), writes=(str(writes),))
    executor = ProcessExecutor(tmp_path / "drivers", OWN, options)
    session = executor.start(LaunchSpec((sys.executable, "-c", script), tmp_path / "scratch", tmp_path / "log"))
    assert session.receive(20) == "warm"
    session.stop()


def test_no_session_starts_that_would_see_the_data_folder(tmp_path: Path) -> None:
    data = tmp_path / "farm/data"
    data.mkdir(parents=True)
    executor = ProcessExecutor(tmp_path / "drivers", OWN, SandboxOptions(ForbiddenPaths(data)))
    launch = LaunchSpec((sys.executable,), tmp_path / "scratch", tmp_path / "log", inputs=(tmp_path / "farm",))
    with pytest.raises(SandboxTooWide, match="holds"):
        executor.start(launch)
    assert not executor.may_read(tmp_path / "farm")
    assert executor.may_read(tmp_path / "inputs")


def test_a_sandboxed_program_that_is_not_there_is_missing(tmp_path: Path) -> None:
    launch = LaunchSpec(("/no/blender",), tmp_path / "scratch", tmp_path / "log", sandbox_mb=512)
    with pytest.raises(BlenderMissing):
        ProcessExecutor(tmp_path / "drivers", OWN).start(launch)


def test_sessions_share_what_their_drivers_compiled(tmp_path: Path) -> None:
    one = session_environment({}, tmp_path / "one", tmp_path / "drivers")
    two = session_environment({"CUDA_CACHE_PATH": "/fast/cuda"}, tmp_path / "two", tmp_path / "drivers")
    assert one["MESA_SHADER_CACHE_DIR"] == two["MESA_SHADER_CACHE_DIR"]
    assert Path(one["MESA_SHADER_CACHE_DIR"]).is_dir()
    assert two["CUDA_CACHE_PATH"] == "/fast/cuda"


def test_a_program_that_can_not_run_is_said_to_be_so(tmp_path: Path) -> None:
    program = tmp_path / "blender"
    program.write_text("not a program")
    program.chmod(0o755)
    executor = ProcessExecutor(tmp_path / "drivers")
    with pytest.raises(Unreachable, match="cannot be started"):
        executor.start(LaunchSpec((str(program),), tmp_path / "scratch", tmp_path / "launch.log"))


def test_a_scratch_that_can_not_be_made_is_said_to_be_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    executor = ProcessExecutor(tmp_path / "drivers")
    with pytest.raises(Unreachable, match="cannot be started"):
        executor.start(LaunchSpec((sys.executable,), tmp_path / "file/scratch", tmp_path / "launch.log"))


def test_nothing_of_ours_stays_open_in_a_session(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    os.set_inheritable(descriptor, True)
    try:
        with running(
            "import os; print(sorted(os.listdir('/proc/self/fd'))[:3], len(os.listdir('/proc/self/fd')))", tmp_path, OWN
        ) as session:
            assert session.receive(10) == "['0', '1', '2'] 4"  # the fourth is the folder that it lists
    finally:
        os.close(descriptor)


WORKER = """
import sys
from pathlib import Path
from renderctl.executors import LaunchSpec
from renderctl.executors.process import ProcessExecutor, SandboxOptions
from renderctl.executors.sandbox import ForbiddenPaths, landlock_version
folder = Path(sys.argv[1])
launch = LaunchSpec((sys.executable, "-u", "-c", sys.argv[2]), folder / "scratch", folder / "launch.log")
session = ProcessExecutor(folder / "drivers").start(launch)
print(session.receive(20), flush=True)
"""
DIES_WITH_PARENT = """
import ctypes, os, signal, time
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
print(os.getpid())
time.sleep(60)
"""


def test_a_session_that_asks_to_does_not_outlive_a_killed_worker(tmp_path: Path) -> None:
    wait = "input()"
    argv = [sys.executable, "-c", WORKER + wait, str(tmp_path), DIES_WITH_PARENT]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        session = int(worker.stdout.readline())
        assert lives(session)
        worker.send_signal(signal.SIGKILL)
    assert until(lambda: not lives(session))


@pytest.fixture
def small_group(tmp_path: Path) -> Iterator[Path]:
    """A control group that holds 200 MB, where this user may make one."""
    group = _memory_group()
    if group is None:
        lacking("needs a control group for memory that this user may make")
    yield group
    group.rmdir()


def _memory_group() -> Path | None:
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, name = line.split(":", 2)
        root, limit = ("/sys/fs/cgroup", "memory.max")
        if controllers == "memory":
            root, limit = ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
        elif controllers:
            continue
        group = Path(f"{root}{name}") / f"renderctl-test-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            (group / limit).write_text(str(200_000_000))
        except OSError:
            group.rmdir()
            continue
        return group
    return None


HOG = "print('begin')\nheld = []\nwhile True: held.append(bytearray(b'x') * 10_000_000)"


def test_a_session_that_runs_out_of_memory_dies_before_its_worker_and_is_told_apart(
    tmp_path: Path, small_group: Path
) -> None:
    enter = f"import os; open({str(small_group / 'cgroup.procs')!r}, 'w').write(str(os.getpid()))\n"
    report = (
        "\nfrom renderctl.core.errors import SessionEnded\n"
        "try: session.receive(60)\nexcept SessionEnded: print(session.stop())\n"
    )
    argv = [sys.executable, "-c", enter + WORKER + report, str(tmp_path), HOG]
    worker = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert worker.returncode == 0, worker.stderr
    assert worker.stdout.splitlines() == ["begin", "the kernel killed it: out of memory"]


def test_a_blender_of_its_own_folder_reads_what_came_with_it_and_nothing_beside(tmp_path: Path) -> None:
    blender = tmp_path / "apps/blender-5.0/blender"
    with_it, beside = blender.parent / "5.0/datafiles/font", tmp_path / "apps/notes"
    with_it.parent.mkdir(parents=True)
    shutil.copy("/bin/cat", blender)
    for file in (with_it, beside):
        file.write_text(f"{file.name}\n")
    shortcut = tmp_path / "bin/blender"
    shortcut.parent.mkdir()
    shortcut.symlink_to(blender)
    launch = LaunchSpec((str(shortcut), str(with_it), str(beside)), tmp_path / "scratch", tmp_path / "log")
    session = ProcessExecutor(tmp_path / "drivers", OWN).start(launch)
    assert session.receive(20) == "font"
    with pytest.raises(SessionEnded):
        session.receive(20)
    assert "notes: Permission denied" in (tmp_path / "log").read_text()
    session.stop()


def test_what_sessions_leave_in_the_caches_of_drivers_is_bounded(tmp_path: Path) -> None:
    """They share these folders, so nothing else removes what the scripts of a scene put there."""
    script = (
        "import os\nfor name, size in (('MESA_SHADER_CACHE_DIR', 1 << 18), ('CUDA_CACHE_PATH', 2 << 20)):\n"
        "    os.makedirs(os.environ[name] + '/deep')\n    open(os.environ[name] + '/deep/x', 'wb').write(bytes(size))\n"
        "print('done')"
    )
    options = SandboxOptions(driver_caches_mb=1)
    executor = ProcessExecutor(tmp_path / "drivers", {"PATH": "/bin:/usr/bin"}, options)
    argv = (sys.executable, "-u", "-c", script)
    session = executor.start(LaunchSpec(argv, tmp_path / "scratch", tmp_path / "log"))
    assert session.receive(20) == "done"
    session.stop()
    assert (tmp_path / "drivers/mesa/deep/x").stat().st_size == 1 << 18
    assert list((tmp_path / "drivers/cuda").iterdir()) == []
