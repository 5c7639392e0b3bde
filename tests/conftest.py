"""What every suite shares."""

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.fake_blender import FakeExecutor
from tests.fakes import FakeClock
from tests.lacking import lacking

pytest_plugins = ["tests.services.fixtures", "tests.databases", "tests.fast", "tests.passwords", "tests.sides"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A suite that says `EITHER_WAY = True` has to come to the same, directly and through a server."""
    either_way = getattr(metafunc.module, "EITHER_WAY", False) and "server" in metafunc.fixturenames
    if either_way and not metafunc.definition.get_closest_marker("directly"):
        through = pytest.param("server", id="through a server", marks=pytest.mark.slow)
        metafunc.parametrize("server", [pytest.param(None, id="directly"), through], indirect=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest tests come first, so that no process of a run is left with one of them in the end."""
    items.sort(key=lambda item: "chaos" not in item.path.parts)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def executor() -> FakeExecutor:
    return FakeExecutor()


@pytest.fixture
def mount() -> Iterator[Callable[[Path, str], None]]:
    """Put a disk of our own at a folder, with the options of a tmpfs."""
    mounted: list[Path] = []

    def mount_at(folder: Path, options: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        command = ["mount", "-t", "tmpfs", "-o", options, "renderctl-test", str(folder)]
        if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode != 0:
            lacking("needs a user who may mount a tmpfs")
        mounted.append(folder)

    yield mount_at
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)
