"""Kill any process at any moment: every frame still ends up rendered, published once, whole, and explained.

`pytest tests/chaos --rounds 50` plays the seeds 1 to 50; `--seed N` plays the one that failed again.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from tests.chaos.embedded import FRAMES, EmbeddedRound
from tests.chaos.verdict import counted, require_cleared, require_whole, require_whole_blobs
from tests.nodes import Site

pytestmark = [pytest.mark.chaos, pytest.mark.blender]


def test_every_frame_ends_up_rendered_once_whole_and_explained(
    site: Site, seed: int, tmp_path: Path, tally: Callable[[Mapping[str, int]], None]
) -> None:
    with closing(EmbeddedRound(site, seed)) as played:
        played.play()
        ends = require_whole(played.farm, played.jobs[0], tmp_path / "images")
        require_whole_blobs(played.farm)
        require_cleared(site)
    tally(played.deeds + Counter(rounds=1, frames=FRAMES) + counted(ends))
