"""How often and with which seed, and the farm with one uploaded model that every round begins with."""

import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.nodes import Site, site_in

#: Between them they hold every injury.
FIXED_SEEDS = (13, 24, 31)
#: What happened in all rounds together.
TALLY = pytest.StashKey[Counter[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("chaos")
    group.addoption("--rounds", type=int, default=0, help="so many rounds with seeds 1, 2, …; 0: the fixed seeds")
    group.addoption("--seed", type=int, default=None, help="play the one round that this seed makes")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        one, rounds = metafunc.config.getoption("seed", None), metafunc.config.getoption("rounds", 0)
        seeds = FIXED_SEEDS if not rounds else tuple(range(1, rounds + 1))
        metafunc.parametrize("seed", seeds if one is None else (one,))


@pytest.fixture(scope="session")
def uploaded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a farm that has the models `quick` and `slow`."""
    pytest.importorskip("bpy", reason="There is no Blender: pip install 'renderctl[blender]'")
    folder = tmp_path_factory.mktemp("chaos")
    maker = Path(__file__).parents[1] / "quick_scene.py"
    with site_in(folder) as site:
        for name, samples in (("quick", "30"), ("slow", "20000")):
            scene = folder / f"{name}.blend"
            subprocess.run([sys.executable, str(maker), str(scene), samples], check=True, capture_output=True)
            uploaded = site.run("upload", str(scene))
            assert uploaded.returncode == 0, uploaded.stderr
    return site.data


@pytest.fixture
def site(uploaded: Path, tmp_path: Path) -> Iterator[Site]:
    shutil.copytree(uploaded, tmp_path / "data")
    with site_in(tmp_path) as site:
        yield site


@pytest.fixture(scope="session")
def tally(pytestconfig: pytest.Config) -> Counter[str]:
    return pytestconfig.stash.setdefault(TALLY, Counter())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    told = config.stash.get(TALLY, Counter())
    if told:
        terminalreporter.write_sep("=", "chaos")
        for what, count in sorted(told.items()):
            terminalreporter.write_line(f"{count:6d}  {what}")
