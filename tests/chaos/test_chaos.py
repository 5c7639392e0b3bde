"""Kill any process at any moment: every frame still ends up rendered, published once, whole, and explained.

`pytest tests/chaos --rounds 50` plays the seeds 1 to 50; `--seed N` plays the one that failed again.
"""

from collections import Counter
from pathlib import Path

import pytest

from tests.chaos.rounds import FRAMES, Round
from tests.chaos.verdict import require_cleared, require_whole
from tests.nodes import Site

pytestmark = [pytest.mark.chaos, pytest.mark.blender]


def test_every_frame_ends_up_rendered_once_whole_and_explained(
    site: Site, seed: int, tmp_path: Path, tally: Counter[str]
) -> None:
    played = Round(site, seed)
    played.play()
    ends = require_whole(played.farm, played.job_id, tmp_path / "images")
    require_cleared(site)
    tally.update({"rounds": 1, "frames": FRAMES} | dict(played.deeds))
    tally.update({f"attempts {state}": count for state, count in ends.items()})
