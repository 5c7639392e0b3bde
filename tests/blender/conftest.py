"""The Blenders that these tests run with: the bpy beside pytest, and those of RENDERCTL_TEST_BLENDERS=path:path."""

import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from renderctl.blender.find import Blender, find_blenders
from renderctl.core.errors import BlenderMissing
from tests.blender.studio import Studio, build_scenes
from tests.lacking import lacking


@cache
def blenders() -> tuple[Blender, ...]:
    named = [path for path in os.environ.get("RENDERCTL_TEST_BLENDERS", "").split(":") if path]
    try:
        return find_blenders(named, cache_dir=Path(os.environ.get("TMPDIR", "/tmp")) / "renderctl-tests")
    except BlenderMissing:
        return ()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "blender" in metafunc.fixturenames:
        found: list[Blender | None] = list(blenders()) or [None]
        names = [".".join(map(str, item.version)) if item else "none" for item in found]
        metafunc.parametrize("blender", found, ids=names, scope="session", indirect=True)


@pytest.fixture(scope="session")
def blender(request: pytest.FixtureRequest) -> Blender:
    if request.param is None:
        lacking("There is no Blender: pip install 'renderctl[blender]'")
    assert isinstance(request.param, Blender)
    return request.param


@pytest.fixture(scope="session")
def scenes(blender: Blender, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_scenes(blender, tmp_path_factory.mktemp("scenes"))


@pytest.fixture(scope="session")
def studio(blender: Blender, scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """One warm session for every test that leaves it alive."""
    studio = Studio(blender, scenes, tmp_path_factory.mktemp("studio"))
    yield studio
    studio.close()
