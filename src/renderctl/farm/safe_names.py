"""File names from users' text: one injective spelling, safe in every file system."""

import hashlib
import re

_UNSAFE = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|%]')
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?")
_LONGEST = 120  #: bytes; leaves room for suffixes below the 255 of most file systems


def safe_name(text: str) -> str:
    """A file name for any text; two texts never share one. Readable ones stay as they are."""
    name = _UNSAFE.sub(lambda match: f"%{ord(match[0]):02x}", text)
    if not name or name.startswith((".", " ")) or _RESERVED.fullmatch(name):
        name = f"%{ord(name[0]):02x}{name[1:]}" if name else "%"
    if name.endswith((".", " ")):
        name = f"{name[:-1]}%{ord(name[-1]):02x}"
    encoded = name.encode("utf-8", "surrogateescape")
    if len(encoded) > _LONGEST:
        digest = hashlib.sha256(encoded).hexdigest()[:12]
        name = encoded[: _LONGEST - 14].decode("utf-8", "ignore") + "%%" + digest
    return name
