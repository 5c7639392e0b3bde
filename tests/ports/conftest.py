"""The farm of the port suites: on either database, on a clock that the test turns."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from renderctl.farm import Farm
from tests.databases import farm_on
from tests.fakes import FakeClock
from tests.farms import close


@pytest.fixture
def farm(tmp_path: Path, clock: FakeClock, database_url: str) -> Iterator[Farm]:
    made = farm_on(database_url, tmp_path, clock)
    yield made
    close(made)
