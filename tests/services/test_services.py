"""What tests may rely on: fresh places on real servers, and servers that can be injured and are gone afterwards."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import docker
import psutil
import pymysql
import pytest
import redis

from renderctl.core.settings import StoreSettings
from tests.nodes import until
from tests.services import SERVERS, DockerEngine, Redis, Server, running
from tests.services.baseimage import BASE
from tests.services.fixtures import require
from tests.services.server import is_so

pytestmark = pytest.mark.services
ROOT = Path(__file__).parents[2]


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "tests.services", *words]


def without_servers() -> dict[str, str]:
    """The environment of a run that is to start servers of its own."""
    return {name: value for name, value in os.environ.items() if not name.startswith("RENDERCTL_TEST_")}


def test_every_place_is_fresh(mysql_url: str, rabbitmq_url: str, redis_url: str, s3: StoreSettings) -> None:
    assert mysql_url.rpartition("/")[2].startswith("renderctl_test_")
    assert rabbitmq_url.rpartition("/")[2].startswith("renderctl-test-")
    assert s3.bucket.startswith("renderctl-test-")
    with redis.Redis.from_url(redis_url) as database:
        assert database.dbsize() == 0


@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)
def test_a_server_survives_every_injury_on_the_same_port(kind: type[Server]) -> None:
    require(kind)
    with running(kind) as server:
        url, processes = server.url, server.processes()
        server.freeze()
        assert not is_so(server.answers)
        server.thaw()
        server.wait_until(server.answers, "an answer after the thaw")
        server.kill()
        assert not is_so(server.answers)
        assert not any(process.is_running() for process in processes)
        server.start()
        server.restart()
        assert server.url == url
        processes = server.processes()
    assert not any(process.is_running() for process in processes)
    assert not server.folder.exists()


def test_a_killed_database_keeps_what_was_committed() -> None:
    (kind,) = [kind for kind in SERVERS if kind.name == "mariadb"]
    require(kind)
    with running(kind) as server:
        connection = pymysql.connect(host="127.0.0.1", port=server.port, user="root", autocommit=True)
        connection.cursor().execute("CREATE DATABASE kept")
        server.kill()
        server.start()
        with pymysql.connect(host="127.0.0.1", port=server.port, user="root", database="kept"):
            pass


def test_what_runs_in_containers_outlives_the_daemon_until_it_is_back_and_not_the_engine() -> None:
    require(DockerEngine)
    with running(DockerEngine) as engine:
        client = docker.DockerClient(engine.url)
        words = ["sh", "-c", "trap exit TERM; while :; do sleep 0.1; done"]
        contained = client.containers.run(BASE, words, detach=True, network_mode="none")
        engine.kill_daemon()
        assert not is_so(engine.answers)
        assert "containerd-shim-runc-v2" in {process.name() for process in engine.processes()}
        engine.start()
        contained.reload()
        assert contained.status == "exited"
        contained.start()
        processes = engine.processes()
        engine.kill()
        assert not any(process.is_running() for process in processes)
        client.close()


def test_a_command_runs_beside_the_servers_and_its_exit_code_is_ours() -> None:
    require(Redis)
    script = "import os, redis, sys; redis.Redis.from_url(os.environ['RENDERCTL_TEST_REDIS_URL']).ping(); sys.exit(7)"
    words = command("--only", "redis", "--", sys.executable, "-c", script)
    assert subprocess.run(words, cwd=ROOT, env=without_servers()).returncode == 7


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_no_server_outlives_us_when_we_are_told_to_end(number: signal.Signals) -> None:
    require(Redis)
    words = command("--only", "redis", "--", "sleep", "600")
    keeper = subprocess.Popen(words, cwd=ROOT, env=without_servers(), start_new_session=True)
    try:
        tree = psutil.Process(keeper.pid)
        until(lambda: len(tree.children(recursive=True)) == 3, 30, what="a server, its guard and a command")
        started = tree.children(recursive=True)
        if number == signal.SIGINT:
            os.killpg(keeper.pid, number)  # as a terminal does it
        else:
            keeper.send_signal(number)
        assert keeper.wait(30) == 128 + number
        assert not any(process.is_running() for process in started)
    finally:
        keeper.kill()
        keeper.wait()


def test_no_server_outlives_a_run_of_pytest_that_was_killed(tmp_path: Path) -> None:
    require(Redis)
    test = ROOT / "tests" / "services" / f"test_hung_{os.getpid()}.py"
    test.write_text(
        "def test_hung(redis_url):\n    import time\n    print(redis_url, flush=True)\n    time.sleep(600)\n"
    )
    words = [sys.executable, "-m", "pytest", "-q", "-s", str(test)]
    try:
        with subprocess.Popen(words, cwd=ROOT, env=without_servers(), stdout=subprocess.PIPE, text=True) as run:
            assert run.stdout is not None
            url = next(line for line in run.stdout if "redis://" in line).strip()
            run.kill()
        until(lambda: not _listens(url[url.index("redis://") :]), 30, what="the end of the server")
    finally:
        test.unlink()


@pytest.mark.parametrize("kind", SERVERS, ids=lambda kind: kind.name)
def test_a_server_does_not_outlive_the_process_that_started_it(kind: type[Server]) -> None:
    require(kind)
    script = (
        f"from tests.services import {kind.__name__}; server = {kind.__name__}(); server.start();"
        "print(server.url, *(each.pid for each in server.processes()), server.folder, flush=True); input()"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as starter:
        assert starter.stdout is not None
        url, *pids, folder = starter.stdout.readline().split()
        assert _listens(url)
        starter.kill()
    until(lambda: not _listens(url), 30, what="the end of the server")
    until(lambda: not any(map(_lives, map(int, pids))), 30, what="the end of its processes")
    shutil.rmtree(folder)


def _lives(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _listens(url: str) -> bool:
    parts = urlsplit(url)
    if parts.scheme == "unix":
        with socket.socket(socket.AF_UNIX) as client:
            return client.connect_ex(parts.path) == 0
    connections = psutil.net_connections("tcp")
    listening = [each.laddr for each in connections if each.status == psutil.CONN_LISTEN]
    return any(address and address.port == parts.port for address in listening)


def test_the_folders_of_servers_have_short_paths() -> None:
    """Those of sockets end after a hundred characters."""
    assert len(tempfile.gettempdir()) < 60
