"""Telling whole images from damaged ones, wherever they are cut."""

from pathlib import Path

import numpy as np
import OpenImageIO as oiio
import pytest

from renderctl.core.errors import BadImage
from renderctl.decoder.pixels import verify

KINDS = {"png": 4, "jpg": 3, "webp": 4, "tif": 4, "exr": 4}


def given_image(path: Path, channels: int, parts: int = 1) -> Path:
    """An image that does not compress well."""
    specs = [oiio.ImageSpec(64, 36, channels, "half" if path.suffix == ".exr" else "uint8") for _ in range(parts)]
    noise = np.random.default_rng(7).random((36, 64, channels), dtype=np.float32)
    output = oiio.ImageOutput.create(str(path))
    assert output.open(str(path), specs if parts > 1 else specs[0]), output.geterror()
    for number in range(parts):
        if number:
            assert output.open(str(path), specs[number], "AppendSubimage")
        assert output.write_image(noise), output.geterror()
    output.close()
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_image_is_described(tmp_path: Path, kind: str) -> None:
    facts = verify(given_image(tmp_path / f"image.{kind}", KINDS[kind]), width=64, height=36)
    assert (facts.width, facts.height, facts.parts, facts.channels) == (64, 36, 1, KINDS[kind])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.9, 0.99])
def test_a_truncated_image_is_bad(tmp_path: Path, kind: str, share: float) -> None:
    whole = given_image(tmp_path / f"image.{kind}", KINDS[kind]).read_bytes()
    cut = tmp_path / f"cut.{kind}"
    cut.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(BadImage, match=f"cut.{kind}"):
        verify(cut)


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_a_truncated_part_of_a_multi_part_image_is_bad(tmp_path: Path, share: float) -> None:
    image = given_image(tmp_path / "parts.exr", 4, parts=3)
    assert verify(image).parts == 3
    cut = tmp_path / "cut.exr"
    cut.write_bytes(image.read_bytes()[: int(image.stat().st_size * share)])
    with pytest.raises(BadImage):
        verify(cut)


def test_a_damaged_png_is_bad(tmp_path: Path) -> None:
    image = given_image(tmp_path / "image.png", 4)
    content = bytearray(image.read_bytes())
    content[len(content) // 2] ^= 0xFF
    image.write_bytes(content)
    with pytest.raises(BadImage, match="damaged or truncated"):
        verify(image)


def test_what_is_no_image_is_bad(tmp_path: Path) -> None:
    for name, content in (("empty.png", b""), ("text.png", b"hello" * 99), ("text.exr", b"hello" * 99)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(BadImage, match=name):
            verify(tmp_path / name)
    with pytest.raises(BadImage, match="does not exist"):
        verify(tmp_path / "none.png")


def test_another_size_than_the_one_asked_for_is_bad(tmp_path: Path) -> None:
    image = given_image(tmp_path / "image.png", 4)
    with pytest.raises(BadImage, match="has 64x36 pixels in place of 640x36"):
        verify(image, width=640, height=36)
