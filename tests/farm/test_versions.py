"""Which Blender renders a job where there are several: the nearest to the scene's own, or the one asked for."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from renderctl.blender.header import SavedBy
from renderctl.core.errors import BlenderMissing, ImageMissing, InvalidInput
from renderctl.core.jobs import RenderOptions
from renderctl.executors.images import RenderImage
from renderctl.farm import Farm
from renderctl.farm.blenders import choose_blender, known_blenders
from tests.fake_blender import FakeExecutor
from tests.farms import given_job


@dataclass
class FromImages(FakeExecutor):
    """Starts what it has images of."""

    versions: tuple[str, ...] = ()

    def images(self) -> Sequence[RenderImage]:
        return [
            RenderImage(
                each,
                f"renderctl-blender:{each}",
                f"sha256:{each}",
                1,
                datetime(2026, 1, 1, tzinfo=UTC),
                Path("/opt/blender/bin/python"),
                module=True,
            )
            for each in self.versions
        ]


def on(farm: Farm, *versions: str) -> Farm:
    return replace(farm, executor=FromImages(versions=versions))


@pytest.mark.parametrize(
    ("saved", "wanted", "image"),
    [
        ((4, 5), None, "sha256:4.5.15"),
        ((4, 3), None, "sha256:4.5.15"),
        ((5, 0), None, "sha256:5.0.1"),
        ((4, 5), "5.0", "sha256:5.0.1"),
        ((4, 2), "4.2", "sha256:4.2.9"),
    ],
)
def test_a_job_is_rendered_from_the_image_of_its_version(
    farm: Farm, saved: tuple[int, int], wanted: str | None, image: str
) -> None:
    there = on(farm, "4.2.9", "4.5.15", "5.0.1")
    chosen = choose_blender(there, SavedBy(saved, int(saved[0] >= 5)), wanted)
    assert chosen.blender.image == image
    assert "renderctl-blender" in chosen.blender.label


def test_what_is_not_there_is_said(farm: Farm) -> None:
    with pytest.raises(BlenderMissing, match=r"no Blender 4\.2"):
        choose_blender(on(farm, "4.5.15"), SavedBy((4, 2), 0), "4.2")
    with pytest.raises(ImageMissing):
        known_blenders(on(farm))
    with pytest.raises(InvalidInput, match="not a version"):
        RenderOptions(blender="newest")


def test_a_job_waits_for_a_worker_that_has_its_version(farm: Farm) -> None:
    job = given_job(farm, "1", options=RenderOptions(blender="4.2"))
    assert "blender-4.2" in job.requirements.tags
