"""Frame sets: `1-100,120,200-300x2`, negative frames too (`-5--1`). A million frames stay cheap."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from renderctl.core.errors import BadFrames
from renderctl.core.limits import MAX_FRAME_RANGES, MAX_FRAMES_TEXT

#: Blender's own limits (MINAFRAME and MAXFRAME in its DNA_scene_types.h).
FIRST_FRAME, LAST_FRAME = -1_048_574, 1_048_574
#: Frames that ranges may name again and again, all ranges together: as many as Blender has, a few times.
_MAX_NAMED = 4 * (LAST_FRAME - FIRST_FRAME + 1)

_PART = re.compile(r"(?P<first>-?\d+)(?:\s*-\s*(?P<last>-?\d+)(?:\s*[x:]\s*(?P<step>\d+))?)?")


@dataclass(frozen=True)
class FrameSet:
    """Frames in the order in which they were asked for, each once."""

    ranges: tuple[range, ...]

    @classmethod
    def parse(cls, text: str) -> "FrameSet":
        """Read `1-100,120,200-300x2`. Raises BadFrames, pointing at the part that is wrong."""
        if not text.strip():
            raise BadFrames("No frames were given.", hint=_EXAMPLE)
        return cls(_each_once([_parse_part(part.strip(), text) for part in text.split(",")]))

    @classmethod
    def parse_request(cls, text: str) -> "FrameSet":
        """As `parse`, of what somebody asks for just now: it has to be of a sensible length. Raises BadFrames."""
        if len(text) > MAX_FRAMES_TEXT:
            raise BadFrames(f"The frames are a text of {len(text)} characters.", hint=_TOO_LONG)
        frames = cls.parse(text)
        if len(frames.ranges) > MAX_FRAME_RANGES:
            raise BadFrames(f"The frames come to {len(frames.ranges)} ranges.", hint=_TOO_LONG)
        return frames

    @classmethod
    def of(cls, frames: Iterable[int]) -> "FrameSet":
        """The given frames, runs of them folded into ranges."""
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
        raise BadFrames(f"{part!r} is beyond the frames that Blender has.", hint=_LIMITS)
    first = int(match["first"])
    last = int(match["last"] or first)
    step = int(match["step"] or 1)
    if step < 1:
        raise BadFrames(f"{part!r} has a step of 0.", hint=_EXAMPLE)
    if last < first:
        turned = f"{last}-{first}" + (f"x{step}" if step > 1 else "")
        raise BadFrames(f"{part!r} ends before it begins.", hint=f"Did you mean {turned}?")
    if first < FIRST_FRAME or last > LAST_FRAME:
        raise BadFrames(f"{part!r} is beyond the frames that Blender has.", hint=_LIMITS)
    return _range(first, last if step <= last - first else first, step)


def _each_once(ranges: list[range]) -> tuple[range, ...]:
    if _apart(ranges):
        return tuple(_folded(ranges))
    if sum(map(len, ranges)) > _MAX_NAMED:
        raise BadFrames("The same frames are named too often.", hint=_EXAMPLE)
    seen = bytearray(LAST_FRAME - FIRST_FRAME + 1)
    return tuple(_folded(run for part in ranges for run in _unseen(part, seen)))


def _unseen(part: range, seen: bytearray) -> Iterator[range]:
    """The runs of a range that have no mark in `seen`, a byte a frame; they get theirs."""
    window = slice(part[0] - FIRST_FRAME, part[-1] - FIRST_FRAME + 1, part.step)
    marks = seen[window]
    seen[window] = b"\1" * len(part)
    begin = marks.find(0)
    while begin >= 0:
        end = marks.find(1, begin) % (len(marks) + 1)  # not found, -1: the run goes on to the end
        yield _range(part[begin], part[end - 1], part.step)
        begin = marks.find(0, end)


def _runs(frames: Iterable[int]) -> Iterator[range]:
    """Frames in their order, those that follow each other as one range."""
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
    """Equal frames are an equal range: a single one has a step of 1."""
    return range(first, last + 1, step if last - first >= step else 1)


def _apart(ranges: list[range]) -> bool:
    ordered = sorted(ranges, key=lambda part: part.start)
    return all(before[-1] < after.start for before, after in pairwise(ordered))


def _folded(ranges: Iterable[range]) -> Iterator[range]:
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
_LIMITS = f"Blender's frames go from {FIRST_FRAME} to {LAST_FRAME}."
_TOO_LONG = f"At most {MAX_FRAMES_TEXT} characters and {MAX_FRAME_RANGES} ranges are taken; several jobs may have more."
