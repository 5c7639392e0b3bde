"""Frame sets such as `1-100,120,200-300x2` or `-5--1`, kept as ranges: a million frames stay cheap."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from renderctl.core.errors import BadFrames
from renderctl.core.limits import MAX_FRAME_RANGES, MAX_FRAMES_TEXT

#: Blender's own limits (MINAFRAME and MAXFRAME in its DNA_scene_types.h).
FIRST_FRAME, LAST_FRAME = -1_048_574, 1_048_574
#: The most frames that overlapping ranges may list, duplicates included: Blender's frames, four times.
_MAX_LISTED_FRAMES = 4 * (LAST_FRAME - FIRST_FRAME + 1)

_PART = re.compile(r"(?P<first>-?\d+)(?:\s*-\s*(?P<last>-?\d+)(?:\s*[x:]\s*(?P<step>\d+))?)?")


@dataclass(frozen=True)
class FrameSet:
    """Frames in the order in which they were requested, without duplicates."""

    ranges: tuple[range, ...]

    @classmethod
    def parse(cls, text: str) -> "FrameSet":
        """Parse `1-100,120,200-300x2`. Raises BadFrames, which names the invalid part."""
        if not text.strip():
            raise BadFrames("No frames were given.", hint=_EXAMPLE)
        return cls(_deduplicate([_parse_part(part.strip(), text) for part in text.split(",")]))

    @classmethod
    def parse_request(cls, text: str) -> "FrameSet":
        """Parse the frames of a new request, whose length is limited. Raises BadFrames."""
        if len(text) > MAX_FRAMES_TEXT:
            raise BadFrames(f"The frames have {len(text)} characters.", hint=_TOO_LONG)
        frames = cls.parse(text)
        if len(frames.ranges) > MAX_FRAME_RANGES:
            raise BadFrames(f"The frames have {len(frames.ranges)} ranges.", hint=_TOO_LONG)
        return frames

    @classmethod
    def of(cls, frames: Iterable[int]) -> "FrameSet":
        """Build a set of the given frames, with consecutive ones merged into ranges."""
        return cls(tuple(_runs(dict.fromkeys(frames))))

    def __iter__(self) -> Iterator[int]:
        for part in self.ranges:
            yield from part

    def __len__(self) -> int:
        return sum(map(len, self.ranges))

    def __contains__(self, frame: object) -> bool:
        return any(frame in part for part in self.ranges)

    def __str__(self) -> str:
        return ",".join(map(_format_part, self.ranges))


def _parse_part(part: str, text: str) -> range:
    if not part:
        raise BadFrames(f"{text!r} has an empty part between its commas.", hint=_EXAMPLE)
    match = _PART.fullmatch(part)
    if match is None:
        raise BadFrames(f"{part!r} in {text!r} is not a frame or a range of frames.", hint=_EXAMPLE)
    if max(len(digits or "") for digits in match.groups()) > 9:
        raise BadFrames(f"{part!r} is outside Blender's frame range.", hint=_LIMITS)
    first = int(match["first"])
    last = int(match["last"] or first)
    step = int(match["step"] or 1)
    if step < 1:
        raise BadFrames(f"{part!r} has a step of 0.", hint=_EXAMPLE)
    if last < first:
        reversed_range = f"{last}-{first}" + (f"x{step}" if step > 1 else "")
        raise BadFrames(f"{part!r} ends before it begins.", hint=f"Did you mean {reversed_range}?")
    if first < FIRST_FRAME or last > LAST_FRAME:
        raise BadFrames(f"{part!r} is outside Blender's frame range.", hint=_LIMITS)
    return _range(first, last if step <= last - first else first, step)


def _deduplicate(ranges: list[range]) -> tuple[range, ...]:
    if _are_disjoint(ranges):
        return tuple(_merge_adjacent(ranges))
    if sum(map(len, ranges)) > _MAX_LISTED_FRAMES:
        raise BadFrames("The same frames are listed too often.", hint=_EXAMPLE)
    seen = bytearray(LAST_FRAME - FIRST_FRAME + 1)
    return tuple(_merge_adjacent(run for part in ranges for run in _take_unseen(part, seen)))


def _take_unseen(part: range, seen: bytearray) -> Iterator[range]:
    """Yield the runs of a range that are not marked in `seen` (one byte per frame), and mark them."""
    window = slice(part[0] - FIRST_FRAME, part[-1] - FIRST_FRAME + 1, part.step)
    marks = seen[window]
    seen[window] = b"\1" * len(part)
    begin = marks.find(0)
    while begin >= 0:
        end = marks.find(1, begin) % (len(marks) + 1)  # not found, -1: the run goes on to the end
        yield _range(part[begin], part[end - 1], part.step)
        begin = marks.find(0, end)


def _runs(frames: Iterable[int]) -> Iterator[range]:
    """Yield the frames in order, consecutive ones as one range."""
    first = last = None
    for frame in frames:
        if first is not None and last is not None and frame != last + 1:
            yield range(first, last + 1)
            first = None
        first = frame if first is None else first
        last = frame
    if first is not None and last is not None:
        yield range(first, last + 1)


def _range(first: int, last: int, step: int) -> range:
    """Return a canonical range: that of a single frame has a step of 1."""
    return range(first, last + 1, step if last - first >= step else 1)


def _are_disjoint(ranges: list[range]) -> bool:
    ordered = sorted(ranges, key=lambda part: part.start)
    return all(before[-1] < after.start for before, after in pairwise(ordered))


def _merge_adjacent(ranges: Iterable[range]) -> Iterator[range]:
    current: range | None = None
    for part in ranges:
        if current is not None and current.step == part.step == 1 and current.stop == part.start:
            current = range(current.start, part.stop)
            continue
        if current is not None:
            yield current
        current = part
    if current is not None:
        yield current


def _format_part(part: range) -> str:
    if len(part) == 1:
        return str(part.start)
    return f"{part.start}-{part[-1]}" + (f"x{part.step}" if part.step > 1 else "")


_EXAMPLE = "Frames look like 1-100,120,200-300x2; negative ones like -5--1."
_LIMITS = f"Blender's frames range from {FIRST_FRAME} to {LAST_FRAME}."
_TOO_LONG = f"At most {MAX_FRAMES_TEXT} characters and {MAX_FRAME_RANGES} ranges are allowed; use several jobs."
