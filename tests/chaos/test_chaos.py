"""Kill any process at any moment: every frame still ends up rendered, published once, whole, and explained.

`pytest tests/chaos --rounds 50` plays the seeds 1 to 50; `--seed N` plays the one that failed again.
"""

from collections.abc import Callable, Mapping
from contextlib import closing

import pytest

from tests.chaos.embedded import EmbeddedRound
from tests.chaos.judgement import require_sound
from tests.chaos.verdict import require_cleared, require_quiet
from tests.nodes import Site

pytestmark = [pytest.mark.chaos, pytest.mark.blender]


def test_every_job_ends_as_people_allow_and_every_frame_is_rendered_once_whole_and_explained(
    site: Site, seed: int, tally: Callable[[Mapping[str, int]], None]
) -> None:
    with closing(EmbeddedRound(site, seed)) as played:
        played.play()
        judged = require_sound(played)
        require_cleared(site)
        require_quiet(site)
    tally(played.counts + judged.counts)
