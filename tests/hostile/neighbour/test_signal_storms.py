"""Whoever may signal a worker or a server, such as an init system in a hurry, sends many signals: it ends in time."""

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.nodes import CLOCK, Node, Site, site_in, until

pytestmark = pytest.mark.slow
FAKE_WORKER = (sys.executable, "-m", "tests.fake_worker")
STORM = (signal.SIGTERM, signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
WORKERS = 6
_ROOT = Path(__file__).parents[3]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with site_in(tmp_path, {"PYTHONPATH": str(_ROOT)}) as site:
        yield site


def started(site: Site, name: str, *, program: tuple[str, ...] = FAKE_WORKER) -> Node:
    return site.start(name, "--name", name, program=program)


def wait_until_at_work(workers: list[Node]) -> None:
    until(lambda: all("slots, pools" in node.log.read_text() for node in workers), 120, what="workers at work")


def is_answering(log: Path) -> bool:
    address = log.read_text().partition("Serving at ")[2].partition(". ")[0]
    try:
        return bool(address) and httpx2.get(f"{address}/healthz", timeout=60).is_success
    except httpx2.HTTPError:
        return False


def send(worker: Node, *numbers: signal.Signals) -> None:
    """One shortly after the other, ever a little later: some of them come while another one is handled."""
    for gap_us, number in enumerate(numbers):
        worker.process.send_signal(number)
        due = CLOCK.monotonic() + gap_us * 1e-6
        while CLOCK.monotonic() < due:
            pass


def test_a_worker_that_is_sent_many_signals_at_once_leaves_in_time(site: Site) -> None:
    workers = [started(site, f"w{number}") for number in range(WORKERS)]
    wait_until_at_work(workers)
    for worker in workers:
        send(worker, *STORM * 15)
    for worker in workers:
        assert worker.end() in (0, *(-number for number in STORM)), worker.log.read_text()


def test_a_server_that_is_sent_many_signals_at_once_leaves_in_time(site: Site) -> None:
    servers = [site.start("server", "serve", "--port", "0") for _ in range(3)]
    for server in servers:
        until(lambda: is_answering(server.log), 60, what="a server that answers")  # noqa: B023
    for server in servers:
        send(server, *STORM[:2] * 30)  # a server has no terminal to lose
    for server in servers:
        assert server.end() in (0, *(-number for number in STORM)), server.log.read_text()


def test_a_worker_that_is_told_to_hold_to_resume_and_to_leave_at_once_leaves(site: Site) -> None:
    workers = [started(site, f"w{number}") for number in range(3)]
    wait_until_at_work(workers)
    for worker in workers:
        send(worker, *(signal.SIGUSR1, signal.SIGUSR2) * 10, signal.SIGTERM)
    for worker in workers:
        assert worker.wait() == 0, worker.log.read_text()


def test_a_worker_under_nohup_outlives_its_terminal_and_hears_everything_else(site: Site) -> None:
    worker = started(site, "w1", program=("nohup", *FAKE_WORKER))
    wait_until_at_work([worker])
    send(worker, *(signal.SIGHUP,) * 3, signal.SIGUSR1)
    until(lambda: "worker w1 is draining" in worker.log.read_text(), 30, what="a worker that holds")
    assert worker.alive
    send(worker, signal.SIGTERM)
    assert worker.wait() == 0, worker.log.read_text()
