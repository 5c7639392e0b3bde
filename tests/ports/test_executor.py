"""What every executor does: starts a session, speaks with it in lines, and ends it whole."""

import fcntl
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from renderctl.core.errors import BlenderMissing, SessionEnded
from renderctl.executors import Executor, LaunchSpec, SessionProcess
from renderctl.executors.docker.client import Engine
from renderctl.executors.docker.container_spec import ResourceLimits
from renderctl.executors.docker.executor import DockerExecutor
from renderctl.executors.process import ProcessExecutor

Start = Callable[..., SessionProcess]

ECHO = "import sys\nfor line in sys.stdin: print('got ' + line, end='', flush=True)"


@dataclass(frozen=True)
class Kind:
    """An executor, and how a Python is started with it."""

    executor: Executor
    python: str
    image: str | None = None


@pytest.fixture(
    params=[
        pytest.param("process", marks=pytest.mark.slow),  # starts one for each test
        pytest.param("docker", marks=pytest.mark.containers),
    ]
)
def kind(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Kind]:
    if request.param == "process":
        yield Kind(ProcessExecutor(driver_caches=tmp_path / "drivers"), sys.executable)
        return
    engine = Engine(request.getfixturevalue("docker_host"))
    image = request.getfixturevalue("render_image")
    yield Kind(DockerExecutor(engine, ResourceLimits(memory_mb=512)), str(image.program), image.digest)
    engine.close()


@pytest.fixture
def executor(kind: Kind) -> Executor:
    return kind.executor


@pytest.fixture
def launch(kind: Kind, tmp_path: Path) -> Callable[..., LaunchSpec]:
    def make(script: str, *arguments: str, **environment: str) -> LaunchSpec:
        argv = (kind.python, "-u", "-c", script, *arguments)
        return LaunchSpec(argv, tmp_path / "scratch", tmp_path / "launch.log", environment, image=kind.image)

    return make


@pytest.fixture
def start(executor: Executor, launch: Callable[..., LaunchSpec]) -> Iterator[Start]:
    started: list[SessionProcess] = []

    def begin(script: str, *arguments: str, **environment: str) -> SessionProcess:
        started.append(executor.start(launch(script, *arguments, **environment)))
        return started[-1]

    yield begin
    for running in started:
        running.stop()


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def until(fact: Callable[[], bool], seconds: float = 10.0) -> bool:
    give_up = time.monotonic() + seconds
    while not fact():
        if time.monotonic() > give_up:
            return False
        threading.Event().wait(0.005)
    return True


def test_lines_go_in_and_come_out_in_their_order(start: Start) -> None:
    running = start(ECHO)
    for number in range(3):
        running.send(f"line {number}")
    assert [running.receive(10) for _ in range(3)] == ["got line 0", "got line 1", "got line 2"]


def test_text_that_is_not_utf8_comes_through_unharmed(start: Start) -> None:
    running = start("import sys; sys.stdout.buffer.write(b'caf\\xe9 \\xe2\\x82\\xac\\n')")
    assert running.receive(10) == "caf\udce9 €"
    running = start(ECHO)
    running.send("caf\udce9 €")
    assert running.receive(10) == "got caf\udce9 €"


def test_nothing_said_within_the_time_is_none(start: Start) -> None:
    running = start(ECHO)
    before = time.monotonic()
    assert running.receive(0.1) is None
    assert 0.09 < time.monotonic() - before < 5
    running.send("still there")
    assert running.receive(10) == "got still there"


def test_half_a_line_is_not_a_line_until_it_is_whole(start: Start) -> None:
    running = start("print('half', end='', flush=True); input(); print(' and half')")
    assert running.receive(0.3) is None
    running.send("")
    assert running.receive(10) == "half and half"


def test_a_long_line_comes_whole(start: Start) -> None:
    assert start("print('x' * 3_000_000)").receive(10) == "x" * 3_000_000


def test_its_last_words_are_heard_before_its_end(start: Start) -> None:
    running = start("print('first'); print('last words', end=''); raise SystemExit(17)")
    assert running.receive(10) == "first"
    assert running.receive(10) == "last words"
    with pytest.raises(SessionEnded, match="17"):
        running.receive(10)
    assert running.stop().code == 17


def test_its_end_is_noticed_although_a_child_holds_its_output(start: Start) -> None:
    running = start("import subprocess, sys; subprocess.Popen(['sleep', '60']); print('done')")
    assert running.receive(10) == "done"
    before = time.monotonic()
    with pytest.raises(SessionEnded):
        running.receive(30)
    assert time.monotonic() - before < 5


def test_speaking_to_one_that_ended_is_an_error(start: Start) -> None:
    running = start("raise SystemExit(3)")
    with pytest.raises(SessionEnded, match="exit code 3"):
        running.receive(10)
    with pytest.raises(SessionEnded, match="exit code 3"):
        running.send("hello?")
    running.stop()
    with pytest.raises(SessionEnded, match="exit code 3"):
        running.send("hello?")
    with pytest.raises(SessionEnded, match="exit code 3"):
        running.receive(0)


def test_an_end_by_signal_says_which(start: Start) -> None:
    running = start("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")
    with pytest.raises(SessionEnded):
        running.receive(10)
    status = running.stop()
    assert (status.code, status.signal, status.out_of_memory) == (None, signal.SIGSEGV, False)


def test_a_missing_program_is_a_missing_blender(executor: Executor, launch: Callable[..., LaunchSpec]) -> None:
    with pytest.raises(BlenderMissing, match="/no/such/blender"):
        executor.start(replace(launch(""), argv=("/no/such/blender",)))


def test_what_it_prints_on_standard_error_is_added_to_its_log(start: Start, tmp_path: Path) -> None:
    for word in ("one", "two"):
        with pytest.raises(SessionEnded):
            start(f"import sys; print('{word}', file=sys.stderr)").receive(10)
    assert (tmp_path / "launch.log").read_text() == "one\ntwo\n"


def test_it_works_and_keeps_its_files_below_its_scratch(start: Start, tmp_path: Path) -> None:
    running = start(
        "import os, tempfile; print(os.getcwd()); print(os.path.expanduser('~')); print(tempfile.gettempdir())"
    )
    scratch = tmp_path / "scratch"
    assert Path(running.receive(10) or "") == scratch
    for _ in ("home", "tmp"):
        assert scratch in Path(running.receive(10) or "").parents


def test_it_gets_the_variables_of_its_launch(start: Start) -> None:
    assert start("import os; print(os.environ['GREETING'])", GREETING="hello there").receive(10) == "hello there"


def test_processor_time_counts_its_children_dead_or_alive(start: Start) -> None:
    spin = "import time; t = time.process_time()\nwhile time.process_time() - t < 0.3: pass"
    running = start(
        "import subprocess, sys\n"
        "subprocess.run([sys.executable, '-c', sys.argv[1]])\n"
        "child = subprocess.Popen([sys.executable, '-c', sys.argv[1] + '\\nprint(1, flush=True); input()'])\n"
        "child.wait()",
        spin,
    )
    assert running.receive(20) == "1"
    assert running.busy_s() > 0.55
    used = running.busy_s()
    running.stop()
    assert running.busy_s() >= used


def test_memory_is_that_of_the_whole_tree(start: Start) -> None:
    hold = "x = b'x' * 60_000_000; print('holding', flush=True); input()"
    running = start(f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {hold!r}])\n{hold}")
    assert [running.receive(20), running.receive(20)] == ["holding", "holding"]
    assert 115 < running.memory_mb() < 300


def test_stop_ends_it_at_once_and_may_be_repeated(start: Start) -> None:
    running = start("import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1); time.sleep(60)")
    assert running.receive(10) == "1"
    before = time.monotonic()
    status = running.stop()
    assert time.monotonic() - before < 5
    assert status.signal == signal.SIGKILL
    assert not status.out_of_memory
    assert running.stop(5) == status


def test_stop_asks_first_when_it_has_time(start: Start) -> None:
    running = start(
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))\nprint('ready')\ntime.sleep(60)"
    )
    assert running.receive(10) == "ready"
    assert running.stop(grace_s=20).code == 5


def test_stop_kills_what_does_not_hear(start: Start) -> None:
    running = start("import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1); time.sleep(60)")
    assert running.receive(10) == "1"
    assert running.stop(grace_s=0.2).signal == signal.SIGKILL


def test_a_second_stop_need_not_wait_for_the_first(start: Start) -> None:
    running = start("import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1); time.sleep(60)")
    assert running.receive(10) == "1"
    patient = threading.Thread(target=running.stop, args=(50.0,))
    patient.start()
    before = time.monotonic()
    running.stop()
    patient.join(10)
    assert not patient.is_alive()
    assert time.monotonic() - before < 10


def test_stop_wakes_the_one_who_listens(start: Start) -> None:
    running = start("import time; print(1); time.sleep(60)")
    assert running.receive(10) == "1"
    heard: list[BaseException] = []

    def listen() -> None:
        try:
            running.receive(50)
        except SessionEnded as error:
            heard.append(error)

    listener = threading.Thread(target=listen)
    listener.start()
    running.stop()
    listener.join(10)
    assert len(heard) == 1


DETACH = """
import os, subprocess, sys, time
child = '''
import fcntl, os, sys, time
if os.fork(): os._exit(0)
os.setsid()
if sys.argv[1:] == ["twice"] and os.fork(): os._exit(0)
name = f"alive-{os.getpid()}"
held = open(name, "w")
fcntl.flock(held, fcntl.LOCK_EX)
os.write(1, name.encode() + bytes([10]))  # in one piece
time.sleep(60)
'''
for arguments in ([], [], [], ["twice"]): subprocess.Popen([sys.executable, '-c', child, *arguments])
"""


def held(lock: Path) -> bool:
    """Whether a living process has it."""
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


@pytest.mark.parametrize("end", ["time.sleep(60)", "sys.stdin.readline(); os._exit(0)"], ids=["alive", "dead"])
def test_stop_ends_everything_it_started_even_in_sessions_of_their_own(start: Start, end: str, tmp_path: Path) -> None:
    running = start(DETACH + end)
    started = [tmp_path / "scratch" / (running.receive(20) or "") for _ in range(4)]
    assert all(map(held, started))
    if "readline" in end:
        running.send("leave")
        with pytest.raises(SessionEnded):
            running.receive(20)
    running.stop()
    assert not any(map(held, started))


def test_a_killed_session_is_not_called_out_of_memory(start: Start) -> None:
    running = start("import os, signal, sys; print(1); sys.stdin.readline(); os.kill(os.getpid(), signal.SIGKILL)")
    assert running.receive(10) == "1"
    running.send("now")
    with pytest.raises(SessionEnded, match="signal 9"):
        running.receive(10)
    status = running.stop()
    assert (status.signal, status.out_of_memory) == (signal.SIGKILL, False)


def test_check_says_what_it_is(executor: Executor) -> None:
    assert executor.check()
