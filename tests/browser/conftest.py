"""A browser, a server and a worker for all tests of this folder, and a window for each."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.browser.browsing import Served, Window, chromium, chromium_path, make_quick_scene, served, window
from tests.lacking import lacking

Windows = Callable[..., Window]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    path = chromium_path() or lacking("There is no Chromium: apt-get install chromium (tools/setup.sh services)")
    with chromium(path) as browser:
        yield browser


@pytest.fixture(scope="package")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("browser")) as farm:
        yield farm


@pytest.fixture(scope="package")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("bpy", reason="There is no Blender: pip install 'renderctl[blender]'")
    path = tmp_path_factory.mktemp("scene") / "monkey.blend"
    make_quick_scene(path, samples=64)
    return path


@pytest.fixture
def windows(browser: Browser, farm: Served) -> Iterator[Windows]:
    """Opens windows, in which nothing may be wrong until the test ends."""
    with ExitStack() as opened:

        def opening(**options: Any) -> Window:
            return opened.enter_context(window(browser, farm.url, **options))

        yield opening
