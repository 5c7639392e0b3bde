"""What is special about sessions that are containers: the cage, the true reasons, and what a dead worker has left."""

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
import pytest

from renderctl.blender.failures import failure_of_exit
from renderctl.core.errors import EngineRefused, EngineUnavailable, ImageMissing, SessionEnded
from renderctl.core.jobs import Fault
from renderctl.executors import ExitStatus, LaunchSpec, SessionProcess
from renderctl.executors.docker.client import Engine
from renderctl.executors.docker.container_spec import ResourceLimits
from renderctl.executors.docker.executor import DockerExecutor
from renderctl.executors.docker.gpus import GpuPool
from renderctl.executors.images import RenderImage
from renderctl.farm.scratch import clear_away
from tests.ports.test_executor import until

pytestmark = pytest.mark.containers
BARS = ResourceLimits(memory_mb=256, pids=64, scratch_mb=16)
LABELS = {"renderctl.node": "n1", "renderctl.worker": "w1"}
ENGINES_OWN = {"/etc/resolv.conf", "/etc/hostname", "/etc/hosts", "/sbin/docker-init", "/usr/sbin/docker-init"}


@pytest.fixture
def engine(docker_host: str) -> Iterator[Engine]:
    engine = Engine(docker_host)
    yield engine
    engine.close()


@pytest.fixture
def executor(engine: Engine) -> DockerExecutor:
    return DockerExecutor(engine, BARS)


@pytest.fixture
def client(docker_host: str) -> Iterator[docker.DockerClient]:
    client = docker.DockerClient(docker_host)
    yield client
    client.close()


@pytest.fixture
def launch(tmp_path: Path, render_image: RenderImage) -> Iterator[Callable[[str], LaunchSpec]]:
    def make(script: str) -> LaunchSpec:
        argv = (str(render_image.program), "-u", "-c", script)
        return LaunchSpec(argv, tmp_path / "scratch", tmp_path / "launch.log", image=render_image.digest, labels=LABELS)

    yield make
    clear_away(tmp_path / "scratch")  # folders that nest too deep for pytest


@contextmanager
def running(executor: DockerExecutor, launch: LaunchSpec) -> Iterator[SessionProcess]:
    session = executor.start(launch)
    try:
        yield session
    finally:
        session.stop()


def end_of(session: SessionProcess, within_s: float = 60.0) -> ExitStatus:
    """How it ends, whatever it says before."""
    try:
        while session.receive(within_s) is not None:
            pass
    except SessionEnded:
        return session.stop()
    pytest.fail(f"it did not end within {within_s:g} s")


def containers(client: docker.DockerClient, worker: str = "w1") -> list[Any]:
    return list(client.containers.list(all=True, filters={"label": f"renderctl.worker={worker}"}))


LOOK = """
import json, os, socket, subprocess
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
def attempt(deed):
    try:
        return repr(deed())[:200]
    except Exception as error:
        return f"{type(error).__name__}"
def reach(address):
    with socket.create_connection(address, timeout=2): return "reached"
KERNELS = ("proc", "sysfs", "tmpfs", "devpts", "mqueue", "cgroup", "cgroup2", "overlay")
mounts = [line.split() for line in open("/proc/self/mounts")]
print(json.dumps({
    "uid": os.getuid(), "caps": int(status["CapEff"], 16) + int(status["CapBnd"], 16),
    "nnp": status["NoNewPrivs"].strip(), "seccomp": status["Seccomp"].strip(),
    "environment": dict(os.environ), "processes": sum(name.isdigit() for name in os.listdir("/proc")),
    "disks": [where for _, where, kind, *_ in mounts if kind not in KERNELS],
    "interfaces": os.listdir("/sys/class/net"),
    "root": attempt(lambda: open("/written", "w")), "input": attempt(lambda: open(INPUT + "/x", "w")),
    "overwrite": attempt(lambda: open(INPUT + "/model", "w")),
    "shadow": attempt(lambda: open("/etc/shadow").read()), "config": attempt(lambda: open(SECRET).read()),
    "socket": [each for each in ("/var/run/docker.sock", SOCKET) if os.path.exists(each)],
    "listener": attempt(lambda: reach(("127.0.0.1", PORT))), "host": attempt(lambda: reach((HOST, PORT))),
    "mount": attempt(lambda: subprocess.run(["mount", "-t", "tmpfs", "x", "/tmp"], capture_output=True, check=True)),
    "device": attempt(lambda: os.mknod("/tmp/disk", 0o600 | 0o060000, os.makedev(8, 0))),
    "unshare": attempt(lambda: subprocess.run(["unshare", "-r", "true"], capture_output=True, check=True)),
    "scratch": attempt(lambda: open("mine", "w").write("fine")),
}))
"""


def test_it_has_no_network_no_rights_and_nothing_of_this_machine_but_its_folders(
    executor: DockerExecutor, launch: Callable[[str], LaunchSpec], tmp_path: Path, docker_host: str
) -> None:
    secret, model = tmp_path / "renderctl.yaml", tmp_path / "model"
    secret.write_text("password: hush")
    model.mkdir()
    (model / "model").write_text("vertices")
    with socket.create_server(("", 0)) as listener:
        values = {
            "INPUT": str(model),
            "SECRET": str(secret),
            "SOCKET": docker_host.removeprefix("unix://"),
            "PORT": listener.getsockname()[1],
            "HOST": socket.gethostbyname(socket.gethostname()),
        }
        script = "".join(f"{name} = {value!r}\n" for name, value in values.items()) + LOOK
        os.environ["RENDERCTL_STORE__SECRET_KEY"] = "hush"
        try:
            with running(executor, replace(launch(script), inputs=(model,))) as session:
                seen = json.loads(session.receive(60) or "")
        finally:
            del os.environ["RENDERCTL_STORE__SECRET_KEY"]
        listener.settimeout(0)
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert (seen["caps"], seen["nnp"], seen["seccomp"]) == (0, "1", "2")
    assert seen["uid"] != 0
    assert "hush" not in json.dumps(seen)
    assert seen["processes"] <= 3  # the init and itself
    assert seen["interfaces"] == ["lo"]
    folders = {str(tmp_path / "scratch"), str(model)}
    assert set(seen["disks"]) - ENGINES_OWN == folders
    assert seen["socket"] == []
    for deed in ("root", "input", "overwrite", "shadow", "config", "listener", "host", "mount", "device", "unshare"):
        assert seen[deed].endswith("Error"), (deed, seen[deed])
    assert seen["scratch"] == "4"
    assert (model / "model").read_text() == "vertices"
    assert (tmp_path / "scratch/mine").read_text() == "fine"


def test_forking_without_end_ends_at_its_limit_and_it_can_still_be_stopped(
    executor: DockerExecutor, launch: Callable[[str], LaunchSpec], client: docker.DockerClient
) -> None:
    bomb = (
        "import os, signal\n"
        "for number in range(1000):\n"
        "    try:\n        if os.fork() == 0: signal.pause()\n"
        "    except BlockingIOError:\n        print(number); break\n"
        "while True: pass"
    )
    with running(executor, launch(bomb)) as session:
        assert int(session.receive(60) or 1000) < BARS.pids
        session.stop()
    assert not containers(client)


def test_running_out_of_memory_is_told_from_being_killed(
    executor: DockerExecutor, launch: Callable[[str], LaunchSpec]
) -> None:
    hog = "held = []\nwhile True: held.append(bytearray(b'x') * 10_000_000)"
    with running(executor, launch(hog)) as session:
        status = end_of(session)
    assert status.out_of_memory
    failure = failure_of_exit(status, "")
    assert (failure.fault, "256 MB" in failure.reason) == (Fault.MACHINE, True)
    with running(executor, launch("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")) as session:
        status = end_of(session)
    assert not status.out_of_memory
    assert "not for memory" in failure_of_exit(status, "").reason


FILLS = {
    "one": "import os\nwith open('big', 'wb') as f:\n  while True: f.write(b'x' * 1_000_000); f.flush()",
    "many": "n = 0\nwhile True:\n  n += 1\n  open(f'{n}', 'w').write('x')",
    "sparse": "import os\nfor n in range(3):\n  os.truncate(os.open(f's{n}', os.O_CREAT | os.O_WRONLY), 12_000_000)",
    "deep": "import os\nfor n in range(3000): os.mkdir('d'); os.chdir('d')",
    "parts": "for n in range(30): open(f'{n}', 'wb').write(b'x' * 1_000_000)",
}


@pytest.mark.parametrize("how", FILLS)
def test_what_fills_the_disk_is_ended_with_that_reason(
    executor: DockerExecutor, launch: Callable[[str], LaunchSpec], how: str
) -> None:
    quiet = "import signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    keep_on = "\nimport time\ntime.sleep(60)"
    script = f"{quiet}try:\n  " + FILLS[how].replace("\n", "\n  ") + "\nexcept OSError: pass" + keep_on
    with running(executor, launch(script)) as session:
        failure = failure_of_exit(end_of(session), "")
    assert failure.fault is Fault.SCENE
    assert "more than 16 MB" in failure.reason


def test_a_line_without_end_and_a_log_without_end_cost_no_memory_and_no_disk(
    executor: DockerExecutor, launch: Callable[[str], LaunchSpec], tmp_path: Path
) -> None:
    chatter = (
        "import sys\nfor n in range(80): sys.stderr.write('x' * 1_000_000)\n"
        "print('said')\nwhile True: sys.stdout.write('x' * 1_000_000)"
    )
    with running(executor, launch(chatter)) as session:
        assert session.receive(60) == "said"
        assert (tmp_path / "launch.log").stat().st_size <= 64 << 20
        failure = failure_of_exit(end_of(session), "")
    assert (failure.fault, "disturbed" in failure.reason) == (Fault.SCENE, True)


@pytest.mark.parametrize("how", ["kill", "remove"])
def test_a_container_that_somebody_ended_is_said_to_be_so(
    executor: DockerExecutor, launch: Callable[[str], LaunchSpec], client: docker.DockerClient, how: str
) -> None:
    with running(executor, launch("import time; print(1); time.sleep(60)")) as session:
        assert session.receive(60) == "1"
        (container,) = containers(client)
        container.kill() if how == "kill" else container.remove(force=True)
        failure = failure_of_exit(end_of(session), "")
    assert failure.fault is Fault.MACHINE
    assert "Another client" in failure.reason
    assert not containers(client)


def test_an_image_that_is_not_there_and_a_gpu_that_is_not_there_are_told_apart(
    engine: Engine, executor: DockerExecutor, launch: Callable[[str], LaunchSpec], client: docker.DockerClient
) -> None:
    with pytest.raises(ImageMissing, match="no-such-image"):
        executor.start(replace(launch(""), image="no-such-image:1"))
    with pytest.raises(EngineRefused, match="no such GPU"):
        DockerExecutor(engine, BARS, GpuPool(("all",), shared=True)).start(launch(""))
    assert not containers(client)


def test_an_engine_that_is_away_is_unavailable(launch: Callable[[str], LaunchSpec]) -> None:
    away = DockerExecutor(Engine("unix:///no/such/engine.sock"), BARS)
    for deed in (away.check, away.images, lambda: away.start(launch(""))):
        with pytest.raises(EngineUnavailable):
            deed()
    assert away.reap(LABELS) == 0  # that is done before the next start


def test_each_session_has_a_gpu_of_its_own_where_they_are_not_shared() -> None:
    gpus = GpuPool(("0", "1"), shared=False)
    first, second = gpus.acquire(), gpus.acquire()
    assert {first, second} == {("0",), ("1",)}
    with pytest.raises(EngineRefused, match="All GPUs"):
        gpus.acquire()
    gpus.release(first)
    assert gpus.acquire() == first
    assert GpuPool(("0", "1"), shared=True).acquire() == ("0", "1")


def test_a_session_ends_with_the_worker_that_it_listened_to(
    engine: Engine, executor: DockerExecutor, launch: Callable[[str], LaunchSpec], client: docker.DockerClient
) -> None:
    session = executor.start(launch("import sys; print(1); sys.stdin.read()"))
    assert session.receive(60) == "1"
    session._streams.close()  # type: ignore[attr-defined]  # what the kernel does when the worker is killed
    (container,) = containers(client)
    assert until(lambda: bool(container.reload()) or container.status == "exited", 30)
    assert executor.reap({**LABELS, "renderctl.worker": "another"}) == 0
    assert executor.reap(LABELS) == 1
    assert not containers(client)


def test_a_container_gets_its_share_of_a_machine() -> None:
    assert ResourceLimits(share=0.5).resolve(16 << 30, 8) == ResourceLimits(memory_mb=7372, cpus=4.0, share=0.5)
    assert ResourceLimits().resolve(16 << 30, 8).cpus is None
    assert ResourceLimits(memory_mb=100_000, cpus=64).resolve(16 << 30, 8) == ResourceLimits(memory_mb=16384, cpus=8)


def test_stopping_from_another_thread_ends_a_container_that_listens_to_nobody(
    executor: DockerExecutor, launch: Callable[[str], LaunchSpec], client: docker.DockerClient
) -> None:
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1); time.sleep(60)"
    with running(executor, launch(deaf)) as session:
        assert session.receive(60) == "1"
        stopping = threading.Thread(target=session.stop, args=(0.2,))
        stopping.start()
        with pytest.raises(SessionEnded):
            session.receive(30)
        stopping.join(30)
    assert not containers(client)
