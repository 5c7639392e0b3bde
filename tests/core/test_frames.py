"""Frame sets: read, printed, counted; cheap even when they are huge."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from renderctl.core.errors import BadFrames
from renderctl.core.frames import FIRST_FRAME, LAST_FRAME, FrameSet

small = st.integers(-60, 60)
parts = st.one_of(
    small.map(lambda frame: (range(frame, frame + 1), str(frame))),
    st.tuples(small, st.integers(0, 40)).map(lambda p: (range(p[0], sum(p) + 1), f"{p[0]}-{sum(p)}")),
    st.tuples(small, st.integers(0, 40), st.integers(1, 9)).map(
        lambda p: (range(p[0], p[0] + p[1] + 1, p[2]), f"{p[0]}-{p[0] + p[1]}x{p[2]}")
    ),
)


@pytest.mark.parametrize(
    ("text", "frames"),
    [
        ("7", [7]),
        ("1-3", [1, 2, 3]),
        ("1-3,120,200-206x2", [1, 2, 3, 120, 200, 202, 204, 206]),
        ("-5--3", [-5, -4, -3]),
        ("-2-1", [-2, -1, 0, 1]),
        (" 1 - 3 , 5 ", [1, 2, 3, 5]),
        ("1-10x4", [1, 5, 9]),
        ("1-10:4", [1, 5, 9]),
        ("1-2x5", [1]),
        ("5,3,1", [5, 3, 1]),
        ("1-3,2-5", [1, 2, 3, 4, 5]),
        ("3,1-5", [3, 1, 2, 4, 5]),
        ("0", [0]),
    ],
)
def test_frames_are_read_in_the_order_in_which_they_are_asked_for(text: str, frames: list[int]) -> None:
    assert list(FrameSet.parse(text)) == frames


@given(st.lists(parts, min_size=1, max_size=6))
def test_each_frame_comes_once_where_it_was_named_first(asked: list[tuple[range, str]]) -> None:
    frames = FrameSet.parse(",".join(text for _, text in asked))
    expected = list(dict.fromkeys(frame for part, _ in asked for frame in part))
    assert list(frames) == expected
    assert len(frames) == len(expected)
    assert all(frame in frames for frame in expected)


@given(st.lists(parts, min_size=1, max_size=6))
def test_what_is_printed_reads_as_the_same_frames(asked: list[tuple[range, str]]) -> None:
    frames = FrameSet.parse(",".join(text for _, text in asked))
    assert FrameSet.parse(str(frames)) == frames
    assert str(FrameSet.parse(str(frames))) == str(frames)


@given(st.lists(small, min_size=1))
def test_single_frames_are_folded_into_ranges(frames: list[int]) -> None:
    folded = FrameSet.of(frames)
    assert list(folded) == list(dict.fromkeys(frames))
    assert FrameSet.parse(str(folded)) == folded


def test_no_frames_are_an_empty_set() -> None:
    assert (list(FrameSet.of([])), len(FrameSet.of([])), str(FrameSet.of([]))) == ([], 0, "")


@pytest.mark.parametrize(
    ("text", "named", "hint"),
    [
        ("", "No frames", "1-100"),
        ("  ", "No frames", "1-100"),
        ("1,,3", "empty part", "1-100"),
        ("1,", "empty part", "1-100"),
        ("1-10,abc,5", "'abc'", "1-100"),
        ("1-", "'1-'", "1-100"),
        ("1..5", r"'1\.\.5'", "1-100"),
        ("1.5", r"'1\.5'", "1-100"),
        ("1x2", "'1x2'", "1-100"),
        ("5,10-1,7", "'10-1' ends before", "1-10?"),
        ("10-1x3", "'10-1x3' ends before", "1-10x3?"),
        ("1-10x0", "step of 0", "1-100"),
        ("1-9999999", "outside", str(LAST_FRAME)),
        ("-1048575", "outside", str(FIRST_FRAME)),
        ("1-" + "9" * 5000, "outside", str(LAST_FRAME)),
    ],
)
def test_an_error_points_at_the_part_that_is_wrong(text: str, named: str, hint: str) -> None:
    with pytest.raises(BadFrames, match=named) as caught:
        FrameSet.parse(text)
    assert hint in (caught.value.hint or "")
    assert caught.value.exit_code == 9


@pytest.mark.parametrize("text", ["1-1000000", "1-1000000,5", "1-1000000x2,2-1000000x2", "500000,1-1000000"])
def test_a_million_frames_stay_cheap(text: str) -> None:
    tracemalloc.start()
    frames = FrameSet.parse(text)
    assert 500_000 in frames
    printed = str(frames)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(frames) == 1_000_000
    assert len(printed) < 50
    assert peak < 10_000_000
