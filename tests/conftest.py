"""What every suite shares."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from renderctl.farm import Farm
from tests.fake_blender import FakeExecutor
from tests.fakes import FakeClock
from tests.farms import close, make_farm

pytest_plugins = ["tests.services.fixtures"]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def executor() -> FakeExecutor:
    return FakeExecutor()


@pytest.fixture
def farm(tmp_path: Path, executor: FakeExecutor) -> Iterator[Farm]:
    """The embedded farm on the system's clock, with a Blender that takes no time."""
    farm = make_farm(tmp_path, executor=executor)
    yield farm
    close(farm)
