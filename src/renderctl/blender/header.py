"""Reading the header of a .blend: which Blender saved it."""

import re
from dataclasses import dataclass
from pathlib import Path

from renderctl.core.errors import SceneNotFound, SceneUnreadable

#: `BLENDER-v405` (pointer size, byte order, version); from 5.0 on `BLENDER17-01v0500` (size, format, version).
_OLD = re.compile(rb"BLENDER[-_][vV](\d)(\d\d)")
_NEW = re.compile(rb"BLENDER(\d\d)-(\d\d)v(\d\d)(\d\d)")
_ZSTANDARD, _GZIP = b"\x28\xb5\x2f\xfd", b"\x1f\x8b"

#: Signatures of other files, for errors.
_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"\x76\x2f\x31\x01", "an OpenEXR image"),
    (b"GIF8", "a GIF image"),
    (b"II*\x00", "a TIFF image"),
    (b"MM\x00*", "a TIFF image"),
    (b"RIFF", "a WebP image or a sound"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"glTF", "a glTF model"),
    (b"Kaydara FBX", "an FBX model"),
    (b"\x7fELF", "a program"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file itself"),
    (b"<!DOCTYPE", "a web page"),
    (b"<html", "a web page"),
)


@dataclass(frozen=True)
class SavedBy:
    """The Blender that saved a scene."""

    version: tuple[int, int]  #: major, minor
    file_format: int  #: 0 up to 4.5, 1 from 5.0 on, which 4.4 and older cannot read

    def __str__(self) -> str:
        return f"{self.version[0]}.{self.version[1]}"


def names_a_file(scene: str) -> bool:
    """Return whether the argument is a path of a scene file, rather than a model's name."""
    path = Path(scene)
    return path.suffix.lower() == ".blend" or "/" in scene or path.exists()


def read_header(path: Path) -> SavedBy:
    """Return the Blender that saved the scene at `path`, which may be compressed. Reads only its first bytes.

    Raises SceneNotFound, or SceneUnreadable with the kind of file that it is instead.
    """
    start = _first_bytes(path)
    if match := _NEW.match(start):
        return SavedBy((int(match[3]), int(match[4])), int(match[2]))
    if match := _OLD.match(start):
        return SavedBy((int(match[1]), int(match[2])), 0)
    if start.startswith(b"BLENDER"):
        raise SceneUnreadable(f"{path} is a scene in an unknown file format.", hint="Is renderctl up to date?")
    raise SceneUnreadable(f"{path} is not a Blender scene: it is {_describe(start)}.")


def _first_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            start = file.read(64)
    except IsADirectoryError as error:
        raise SceneNotFound(f"{path} is a folder, not a scene.", hint="Name the .blend file in it.") from error
    except FileNotFoundError as error:
        raise SceneNotFound(f"There is no scene file {path}.") from error
    except (OSError, ValueError) as error:
        raise SceneUnreadable(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from error
    if not start:
        raise SceneUnreadable(f"{path} is empty.")
    if start.startswith((_ZSTANDARD, _GZIP)):
        return _decompressed(path, start)
    return start


def _decompressed(path: Path, start: bytes) -> bytes:
    import zlib  # imported here: most scenes are not compressed

    import zstandard

    try:
        unpacked = _gunzipped(path) if start.startswith(_GZIP) else _unzstandard(path)
    except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
        raise SceneUnreadable(f"{path} is compressed and damaged: {error}.") from error
    if not unpacked:
        raise SceneUnreadable(f"{path} is compressed and truncated.")
    return unpacked


def _gunzipped(path: Path) -> bytes:
    import gzip

    with gzip.open(path) as file:
        return file.read(32)


def _unzstandard(path: Path) -> bytes:
    import zstandard

    with path.open("rb") as packed, zstandard.ZstdDecompressor().stream_reader(packed) as reader:
        return reader.read(32)


def _describe(start: bytes) -> str:
    for signature, name in _SIGNATURES:
        if start[: len(signature)].lower() == signature.lower():
            return name
    if start[4:8] == b"ftyp":
        return "a movie"
    text = start.rstrip(b"\0")
    return "a text" if text.isascii() and text.decode("ascii").isprintable() else "something else"
