"""`renderctl serve` as a process: what it takes, what it costs, how it ends."""

import hashlib
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import psutil
import pytest

from renderctl.core.actors import Role
from renderctl.farm import Farm
from tests.farms import close, make_farm
from tests.nodes import Site, site_in, until
from tests.server.conftest import Served

pytestmark = pytest.mark.slow
PIECE = bytes(range(256)) * 4096


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with site_in(tmp_path) as site:
        yield site


@pytest.fixture
def farm(site: Site) -> Iterator[Farm]:
    farm = make_farm(site.data, settings=site.settings)
    yield farm
    close(farm)


def started(site: Site) -> tuple[psutil.Process, str]:
    """A server at a port of its own, and its address."""
    node = site.start("server", "serve", "--port", "0")
    until(lambda: "Serving at" in node.log.read_text(), 60, what="a server")
    return psutil.Process(node.process.pid), node.log.read_text().partition("Serving at ")[2].split()[0].rstrip(".")


@pytest.mark.parametrize("megabytes", [96, pytest.param(1024, marks=pytest.mark.chaos)])
def test_a_large_file_passes_through_in_constant_memory(site: Site, farm: Farm, megabytes: int) -> None:
    ada = Served(farm, None).person("ada", Role.ARTIST, "default")  # type: ignore[arg-type]
    server, url = started(site)
    size, seen = megabytes << 20, hashlib.sha256()
    for _ in range(megabytes):
        seen.update(PIECE)
    with httpx2.Client(headers=ada, timeout=300) as client:
        assert client.get(f"{url}/healthz").status_code == 200
        before = server.memory_info().rss
        address = f"{url}/api/v1/uploads/{seen.hexdigest()}?size={size}"
        most = 0

        def pieces() -> Iterator[bytes]:
            nonlocal most
            for _ in range(megabytes):
                yield PIECE
                most = max(most, server.memory_info().rss)

        assert client.put(address, content=pieces()).json()["complete"]
        most = max(most, server.memory_info().rss)
    assert most - before < 48 << 20
    assert farm.store.missing({seen.hexdigest()}) == set()


def test_it_leaves_in_good_order_while_somebody_follows(site: Site, farm: Farm) -> None:
    ada = Served(farm, None).person("ada", Role.ADMIN)  # type: ignore[arg-type]
    server, url = started(site)
    with httpx2.Client(headers=ada, timeout=60) as client, client.stream("GET", f"{url}/api/v1/events") as response:
        lines = response.iter_lines()
        next(lines)
        server.terminate()
        assert list(lines) is not None
    assert site.nodes[0].process.wait(15) == 0
    assert "Traceback" not in site.nodes[0].log.read_text()


def test_a_client_that_goes_away_in_the_middle_goes_on_where_it_broke_off(site: Site, farm: Farm) -> None:
    ada = Served(farm, None).person("ada", Role.ARTIST, "default")  # type: ignore[arg-type]
    _, url = started(site)
    content = PIECE * 8
    digest = hashlib.sha256(content).hexdigest()
    path = f"/api/v1/uploads/{digest}"
    with socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2]))) as wire:
        head = f"PUT {path}?size={len(content)} HTTP/1.1\r\nHost: x\r\nAuthorization: {ada['Authorization']}\r\n"
        wire.sendall(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content[: 5 << 20])
    with httpx2.Client(headers=ada, base_url=url, timeout=60) as client:
        there = 0

        def has_arrived() -> bool:
            nonlocal there
            there = int(client.get(path).json()["received"])
            return there >= 3 << 20

        until(has_arrived, 20, what="what was sent before")
        until(lambda: client.put(path, params={"size": len(content), "offset": there}, content=content[there:]).json()
              .get("complete", False), 20, what="the rest")  # fmt: skip
    assert farm.store.missing({digest}) == set()
    assert "Traceback" not in site.nodes[0].log.read_text()


def test_a_port_that_is_taken_is_said(site: Site, farm: Farm) -> None:
    _, url = started(site)
    done = site.run("serve", "--port", url.rpartition(":")[2], "--json")
    assert done.returncode == 8
    assert json.loads(done.stdout)["error"]["code"] == "unreachable"


def test_no_other_command_imports_the_server() -> None:
    asked = "import sys; from renderctl.cli import run; run(['--help']); run(['version'])"
    told = (
        f"{asked}; print([name for name in sys.modules if name.split('.')[0] in ('fastapi', 'uvicorn', 'starlette')])"
    )
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
