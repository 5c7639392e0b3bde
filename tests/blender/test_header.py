"""Reading which Blender saved a scene, from its first bytes."""

import gzip
from pathlib import Path

import pytest
import zstandard

from renderctl.blender.header import SavedBy, read_header
from renderctl.core.errors import SceneNotFound, SceneUnreadable


@pytest.mark.parametrize(
    ("start", "saved_by"),
    [
        (b"BLENDER-v278RENDH", SavedBy((2, 78), 0)),
        (b"BLENDER_V249REND", SavedBy((2, 49), 0)),
        (b"BLENDER-v405", SavedBy((4, 5), 0)),
        (b"BLENDER17-01v0500", SavedBy((5, 0), 1)),
        (b"BLENDER17-01v0612", SavedBy((6, 12), 1)),
    ],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress])
def test_a_header_tells_the_version(tmp_path: Path, start: bytes, saved_by: SavedBy, pack: object) -> None:
    scene = tmp_path / "scene.blend"
    scene.write_bytes(pack(start + bytes(1000)))  # type: ignore[operator]
    assert read_header(scene) == saved_by


@pytest.mark.parametrize(
    ("content", "answer"),
    [
        (b"", "is empty"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "it is a PNG image"),
        (b"hello there", "it is a text"),
        (b"\x00\x01\x02\xff" * 20, "it is something else"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a", "a Git LFS pointer"),
        (b"BLENDER99-77v1", "an unknown file format"),
        (zstandard.compress(b"BLENDER-v405" + bytes(1000))[:9], "is compressed and truncated"),
        (gzip.compress(b"BLENDER-v405" + bytes(1000), mtime=0)[:12], "is compressed and damaged"),
    ],
)
def test_what_is_no_scene_is_called_by_its_name(tmp_path: Path, content: bytes, answer: str) -> None:
    scene = tmp_path / "scene.blend"
    scene.write_bytes(content)
    with pytest.raises(SceneUnreadable) as refused:
        read_header(scene)
    assert answer in refused.value.message


def test_what_is_not_there_or_a_folder_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(SceneNotFound, match="There is no scene file"):
        read_header(tmp_path / "none.blend")
    with pytest.raises(SceneNotFound, match="is a folder"):
        read_header(tmp_path)
    with pytest.raises(SceneUnreadable, match="cannot be read"):
        read_header(Path("a" * 300 + ".blend"))
