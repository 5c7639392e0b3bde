"""Disks that are full or can not be written to: a sentence, a hint, an exit code, and no broken image anywhere."""

from collections.abc import Callable
from pathlib import Path

import pytest

from renderctl.decoder.pixels import verify
from tests.nodes import Site

pytestmark = pytest.mark.blender
Mount = Callable[[Path, str], None]
LARGE = ("--resolution", "512x512", "--samples", "1", "--set", "render.image_settings.compression=0")

#: The store of the embedded side.
ON_A_DISK = pytest.mark.parametrize("settings", ["embedded"], indirect=True)


def test_an_output_disk_that_gets_full_is_told_and_has_whole_images_only(
    site: Site, scene: Path, tmp_path: Path, mount: Mount
) -> None:
    mount(tmp_path / "small", "size=1500k")
    done = site.run("render", str(scene), "-f", "1-6", *LARGE, "-o", str(tmp_path / "small"))
    assert done.returncode == 9, done.stderr
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr
    images = list((tmp_path / "small").rglob("*.png"))
    assert images
    for image in images:
        verify(image, width=512, height=512)


def test_a_scratch_disk_that_gets_full_publishes_no_truncated_frame(
    site: Site, scene: Path, tmp_path: Path, mount: Mount
) -> None:
    mount(site.data / "scratch", "size=400k")
    done = site.run("render", str(scene), "-f", "1", *LARGE, "--attempts", "1", "-o", str(tmp_path / "out"))
    assert done.returncode == 3, done.stderr
    assert "The disk is nearly full: 0 MB free on " in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "out").rglob("*.png"))


@ON_A_DISK
def test_a_store_that_can_not_be_written_to_is_told_before_anything_is_queued(
    site: Site, scene: Path, tmp_path: Path, mount: Mount
) -> None:
    mount(site.data / "store", "ro")
    done = site.run("render", str(scene), "-f", "1", "-o", str(tmp_path / "out"))
    assert done.returncode == 8, done.stderr
    assert "read-only" in done.stderr
    assert site.run("jobs", "--json").stdout.strip() == "[]"


@ON_A_DISK
def test_a_store_that_gets_full_is_told(site: Site, scene: Path, tmp_path: Path, mount: Mount) -> None:
    mount(site.data / "store", "size=100k")
    done = site.run("upload", str(scene))
    assert done.returncode == 8, done.stderr
    assert "MB stay free (store.min_free_mb)" in done.stderr
    site.desk["RENDERCTL_STORE__MIN_FREE_MB"] = "0"
    done = site.run("upload", str(scene))
    assert done.returncode == 8, done.stderr
    assert "full" in done.stderr or "too little" in done.stderr
    assert "Traceback" not in done.stderr
