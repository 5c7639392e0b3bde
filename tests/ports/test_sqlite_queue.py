"""What is special about a queue in a file: many processes, killed ones, damage, long locks."""

import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from renderctl.core.clocks import SystemClock
from renderctl.core.errors import QueueUnavailable
from renderctl.queues import Ticket
from renderctl.queues.sqlite import SqliteQueue
from tests.fakes import FakeClock

TAKER = """
import sys
from pathlib import Path
from renderctl.core.clocks import SystemClock
from renderctl.queues.sqlite import SqliteQueue
queue = SqliteQueue(Path(sys.argv[1]), SystemClock())
sys.stdin.readline()
while (ticket := queue.get(["default"], float(sys.argv[2]))) is not None:
    print(ticket.job_id, flush=True)
queue.close()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "queue.db"


@pytest.fixture
def queue(path: Path) -> Iterator[SqliteQueue]:
    queue = SqliteQueue(path, SystemClock())
    yield queue
    queue.close()


def taker(path: Path, timeout_s: float) -> "subprocess.Popen[str]":
    argv = [sys.executable, "-c", TAKER, str(path), str(timeout_s)]
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_eight_processes_take_two_thousand_tickets_each_once(path: Path, queue: SqliteQueue) -> None:
    takers = [taker(path, 1.0) for _ in range(8)]
    for number in range(1000):
        queue.put(Ticket(f"job-{number}", 1), pool="default", priority=number % 11)
    for process in takers:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for number in range(1000, 2000):
        queue.put(Ticket(f"job-{number}", 1), pool="default", priority=number % 11)
    received = Counter(job_id for process in takers for job_id in process.communicate(timeout=60)[0].split())
    assert [process.returncode for process in takers] == [0] * 8
    assert received == Counter(f"job-{number}" for number in range(2000))


@pytest.mark.slow
def test_processes_that_open_a_new_queue_at_once_do_not_disturb_each_other(path: Path) -> None:
    takers = [taker(path, 0.0) for _ in range(6)]
    outputs = [process.communicate("go\n", timeout=60)[0] for process in takers]
    assert [process.returncode for process in takers] == [0] * 6
    assert outputs == [""] * 6


@pytest.mark.slow
def test_a_killed_taker_harms_none_but_itself(path: Path, queue: SqliteQueue) -> None:
    jobs = [f"job-{number}" for number in range(500)]
    for job_id in jobs:
        queue.put(Ticket(job_id, 1), pool="default", priority=5)
    with taker(path, 5.0) as victim:
        assert victim.stdin is not None
        assert victim.stdout is not None
        victim.stdin.write("go\n")
        victim.stdin.flush()
        taken = [victim.stdout.readline().strip() for _ in range(50)]
        victim.send_signal(signal.SIGKILL)
        taken += victim.stdout.read().split()
    rest = []
    while (ticket := queue.get(["default"], 0)) is not None:
        rest.append(ticket.job_id)
    assert not set(rest) & set(taken)
    assert len(jobs) - len(taken) - len(rest) in (0, 1)  # one was taken and not printed yet


@pytest.mark.slow
def test_one_who_waits_sees_what_another_process_puts(path: Path, queue: SqliteQueue) -> None:
    with taker(path, 20.0) as waiting:
        assert waiting.stdin is not None
        assert waiting.stdout is not None
        waiting.stdin.write("go\n")
        waiting.stdin.flush()
        queue.put(Ticket("a", 1), pool="default", priority=5)
        assert waiting.stdout.readline() == "a\n"
        waiting.kill()


def test_the_same_ticket_again_keeps_its_place_and_gets_the_priority_of_now(queue: SqliteQueue) -> None:
    for job_id in ("a", "b", "a"):
        queue.put(Ticket(job_id, 1), pool="default", priority=5)
    queue.put(Ticket("c", 1), pool="default", priority=5)
    queue.put(Ticket("c", 1), pool="default", priority=9)
    queue.put(Ticket("later", 1), pool="default", priority=1, delay_s=60)
    queue.put(Ticket("later", 1), pool="default", priority=1)
    taken = []
    while (ticket := queue.get(["default"], 0)) is not None:
        taken.append(ticket.job_id)
    assert taken == ["c", "a", "b", "later"]


def test_waiting_for_a_delayed_ticket_follows_the_clock(path: Path, clock: FakeClock) -> None:
    queue = SqliteQueue(path, clock)
    queue.put(Ticket("a", 1), pool="default", priority=5, delay_s=30)
    assert queue.get(["default"], 29) is None
    assert queue.get(["default"], 60) == Ticket("a", 1)
    assert 29 < clock.monotonic() < 31
    queue.close()


def test_a_damaged_file_is_out_of_reach_with_a_way_out(path: Path, queue: SqliteQueue) -> None:
    path.write_bytes(b"this is not a database" * 1000)
    with pytest.raises(QueueUnavailable, match="not a database") as caught:
        queue.put(Ticket("a", 1), pool="default", priority=5)
    assert "remove" in (caught.value.hint or "")
    path.unlink()
    queue.put(Ticket("a", 1), pool="default", priority=5)
    assert queue.get(["default"], 0) == Ticket("a", 1)


def test_a_file_that_was_removed_under_it_is_made_again(path: Path, queue: SqliteQueue) -> None:
    queue.put(Ticket("a", 1), pool="default", priority=5)
    for file in path.parent.glob("queue.db*"):
        file.unlink()
    queue.put(Ticket("b", 1), pool="default", priority=5)
    other = SqliteQueue(path, SystemClock())
    assert other.get(["default"], 0) == Ticket("b", 1)
    other.close()


def test_a_place_that_can_not_be_written_is_out_of_reach(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    queue = SqliteQueue(tmp_path / "file/queue.db", SystemClock())
    for use in (lambda: queue.get(["default"], 0), queue.check):
        with pytest.raises(QueueUnavailable, match="cannot be used"):
            use()
    queue.close()


def test_a_lock_that_is_never_released_is_out_of_reach(path: Path, queue: SqliteQueue) -> None:
    queue.put(Ticket("a", 1), pool="default", priority=5)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    impatient = SqliteQueue(path, SystemClock(), busy_timeout_s=0.1)
    with pytest.raises(QueueUnavailable, match="locked"):
        impatient.get(["default"], 0)
    other.close()
    assert impatient.get(["default"], 0) == Ticket("a", 1)
    impatient.close()
