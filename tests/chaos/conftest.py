"""How often and with which seed, and the farms that the rounds begin with."""

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from tests.chaos.network import Cable, laid_cable, missing
from tests.chaos.replication import running_pair
from tests.chaos.site import (
    Proxies,
    ServedSite,
    Servers,
    build_skewed_clock,
    running_proxies,
    running_servers,
    served_site,
)
from tests.lacking import lacking
from tests.nodes import Site, site_in
from tests.services import SERVERS
from tests.services.fixtures import require

#: Between them they hold every harm.
FIXED_SEEDS = (8, 9, 14, 41)
SERVED_SEEDS = (5, 6, 8, 12, 19, 100)
CONTAINER_SEEDS = (0,)
#: Odd seeds that this divides have a database with a replica that takes over.
REPLICATED = 5
_TALLY = "chaos"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("chaos")
    group.addoption("--rounds", type=int, default=0, help="so many rounds with seeds 1, 2, …; 0: the fixed seeds")
    group.addoption("--seed", type=int, default=None, help="play the one round that this seed makes")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        one, rounds = metafunc.config.getoption("seed", None), metafunc.config.getoption("rounds", 0)
        names = metafunc.fixturenames
        fixed = SERVED_SEEDS if "served" in names else CONTAINER_SEEDS if "engine" in names else FIXED_SEEDS
        seeds = fixed if not rounds else tuple(range(1, rounds + 1))
        metafunc.parametrize("seed", seeds if one is None else (one,))


def make_scene(folder: Path, name: str, samples: str) -> Path:
    """A scene that Blender renders at so many samples."""
    scene = folder / f"{name}.blend"
    maker = Path(__file__).parents[1] / "quick_scene.py"
    subprocess.run([sys.executable, str(maker), str(scene), samples], check=True, capture_output=True)
    return scene


@pytest.fixture(scope="session")
def quick_scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("bpy", reason="There is no Blender: pip install 'renderctl[blender]'")
    return make_scene(tmp_path_factory.mktemp("scene"), "quick", "30")


@pytest.fixture(scope="session")
def uploaded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a farm that has the models `quick` and `slow`."""
    pytest.importorskip("bpy", reason="There is no Blender: pip install 'renderctl[blender]'")
    folder = tmp_path_factory.mktemp("chaos")
    with site_in(folder) as site:
        for name, samples in (("quick", "30"), ("slow", "20000")):
            uploaded = site.run("upload", str(make_scene(folder, name, samples)))
            assert uploaded.returncode == 0, uploaded.stderr
    return site.data


@pytest.fixture
def site(uploaded: Path, tmp_path: Path) -> Iterator[Site]:
    shutil.copytree(uploaded, tmp_path / "data")
    with site_in(tmp_path) as site:
        yield site


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Four servers that nobody else uses: they are killed."""
    for kind in SERVERS:
        require(kind)
    with running_servers() as servers:
        yield servers


@pytest.fixture(scope="session")
def proxies(servers: Servers) -> Iterator[Proxies]:
    """What stands between a farm and its servers in some rounds."""
    with running_proxies(servers) as proxies:
        yield proxies


@pytest.fixture(scope="session")
def cable(servers: Servers, proxies: Proxies) -> Iterator[Cable | None]:
    """The cable of one node, if this user may lay one."""
    if missing():
        yield None
        return
    ports = [proxies.database.port, proxies.store.port, *(each.port for each in servers.all)]
    with laid_cable(f"renderctl-{os.getpid()}", ports) as cable:
        yield cable


@pytest.fixture(scope="session")
def skewed_clock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("cc") is None:
        lacking("A clock that is wrong needs a C compiler: apt-get install gcc libc6-dev")
    return build_skewed_clock(tmp_path_factory.mktemp("clock"))


@pytest.fixture
def served(
    tmp_path: Path,
    request: pytest.FixtureRequest,
    servers: Servers,
    proxies: Proxies,
    cable: Cable | None,
    skewed_clock: Path,
) -> Iterator[ServedSite]:
    """A farm on the four servers, empty; of its nodes `n1` has the cable.

    Every other seed has proxies between the farm and its servers, and of these some have a database with a replica.
    """
    seed: int | None = getattr(request.node, "callspec", None) and request.node.callspec.params.get("seed")
    proxied = seed is not None and seed % 2 == 1
    with ExitStack() as stack:
        replica = None
        if proxied and seed is not None and seed % REPLICATED == 0:
            first, replica = stack.enter_context(running_pair())
            servers = replace(servers, database=first)
        site = stack.enter_context(served_site(tmp_path, servers, proxies if proxied else None, replica))
        site.skewed_clock = skewed_clock
        site.cables = {"n1": cable} if cable else {}
        yield site
        for each in site.cables.values():
            each.mend()


@pytest.fixture
def tally(record_property: Callable[[str, object], None]) -> Callable[[Mapping[str, int]], None]:
    """Counts what happened in a round, for the summary."""
    return lambda happened: record_property(_TALLY, dict(happened))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    told: Counter[str] = Counter()
    for report in terminalreporter.getreports("passed"):
        for name, happened in report.user_properties:
            if name == _TALLY:
                told.update(happened)
    if told:
        terminalreporter.write_sep("=", "chaos")
        for what, count in sorted(told.items()):
            terminalreporter.write_line(f"{count:6d}  {what}")
