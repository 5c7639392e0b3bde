"""The same farm on MySQL, S3, RabbitMQ and Redis: harm any node and any service, and nothing is lost or done twice.

`pytest tests/chaos/test_served.py --rounds 200` plays the seeds 1 to 200; `--seed N` plays the one that failed again.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from tests.chaos.hooks import require_told
from tests.chaos.judgement import require_sound
from tests.chaos.served import ServedRound
from tests.chaos.site import ServedSite, Servers
from tests.chaos.verdict import require_cleared, require_no_litter, require_quiet
from tests.receivers import receiving

pytestmark = [pytest.mark.chaos, pytest.mark.services, pytest.mark.timeout(600)]


@pytest.fixture
def scene(request: pytest.FixtureRequest, seed: int) -> Path | None:
    """What is rendered in every tenth round; None: nothing is, for volume."""
    return request.getfixturevalue("quick_scene") if seed % 10 == 0 else None


def test_every_frame_is_published_once_whatever_befalls_the_services(
    served: ServedSite, servers: Servers, seed: int, scene: Path | None, tally: Callable[[Mapping[str, int]], None]
) -> None:
    with (
        receiving() as receiver,
        closing(ServedRound(served, seed, receiver=receiver, scene=scene)) as played,
    ):
        played.play()
        require_cleared(served)
        judged = require_sound(played)
        told_again = require_told(played.farm, played.webhook, receiver, judged.histories.values())
        require_no_litter(played.farm, served, servers)
        require_quiet(served)
    counts = {"rounds that render": int(scene is not None), "events told again": told_again}
    tally(played.counts + judged.counts + Counter(counts))
