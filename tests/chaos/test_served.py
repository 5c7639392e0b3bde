"""The same farm on MySQL, S3, RabbitMQ and Redis: harm any node and any service, and nothing is lost or done twice.

`pytest tests/chaos/test_served.py --rounds 200` plays the seeds 1 to 200; `--seed N` plays the one that failed again.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from tests.chaos.hooks import require_told
from tests.chaos.served import ServedRound
from tests.chaos.site import ServedSite, Servers
from tests.chaos.verdict import (
    SIDE,
    counted,
    require_cleared,
    require_no_litter,
    require_quiet,
    require_whole,
    require_whole_blobs,
)
from tests.fake_blender import SIZE
from tests.receivers import receiving

pytestmark = [pytest.mark.chaos, pytest.mark.services, pytest.mark.timeout(600)]


@pytest.fixture
def scene(request: pytest.FixtureRequest, seed: int) -> Path | None:
    """What is rendered in every tenth round; None: nothing is, for volume."""
    return request.getfixturevalue("quick_scene") if seed % 10 == 0 else None


def test_every_frame_is_published_once_whatever_befalls_the_services(
    served: ServedSite, servers: Servers, seed: int, scene: Path | None, tally: Callable[[Mapping[str, int]], None]
) -> None:
    side = SIDE if scene else SIZE
    with (
        receiving() as receiver,
        closing(ServedRound(served, seed, servers=servers, receiver=receiver, scene=scene)) as played,
    ):
        played.play()
        images = [served.data / "images" / job_id for job_id in played.jobs]
        ends = [require_whole(played.farm, *each, side) for each in zip(played.jobs, images, strict=True)]
        require_cleared(served)
        blobs = require_whole_blobs(played.farm)
        told_again = require_told(played.farm, played.webhook, receiver, played.jobs)
        require_no_litter(played.farm, served, servers)
        require_quiet(served)
    happened = counted(sum(ends, Counter()))
    counts = {
        "rounds": 1,
        "rounds that render": int(scene is not None),
        "blobs": blobs,
        "events told again": told_again,
    }
    tally(played.deeds + happened + Counter(counts))
