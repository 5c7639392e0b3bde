"""Kill any process at any moment: every frame still ends up rendered, published once, whole, and explained."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from renderctl.clocks import SystemClock
from tests.chaos.nodes import Site
from tests.chaos.rounds import FRAMES, Round
from tests.chaos.verdict import require_cleared, require_whole

pytestmark = [pytest.mark.chaos, pytest.mark.blender]


@pytest.fixture(scope="module")
def tally(request: pytest.FixtureRequest) -> Iterator[Counter[str]]:
    """What happened in all rounds together; told at the end."""
    counted: Counter[str] = Counter()
    began = SystemClock().monotonic()
    yield counted
    seconds = SystemClock().monotonic() - began
    reporter = request.config.pluginmanager.getplugin("terminalreporter")
    told = ", ".join(f"{count} {what}" for what, count in sorted(counted.items()))
    reporter.write_line(f"\nchaos: {told}, in {seconds:.0f} s")


def test_every_frame_ends_up_rendered_once_whole_and_explained(
    site: Site, seed: int, tmp_path: Path, tally: Counter[str]
) -> None:
    played = Round(site, seed)
    played.play()
    ends = require_whole(played.farm, played.job_id, tmp_path / "images")
    require_cleared(site)
    tally.update({"rounds": 1, "frames": FRAMES} | dict(played.deeds))
    tally.update({f"attempts {state}": count for state, count in ends.items()})
