"""What a session says becomes typed messages, or InvalidEvent: never anything else."""

import json
import math
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from renderctl.blender import events
from renderctl.blender.events import (
    MAX_EVENT_CHARS,
    MAX_EVENT_NODES,
    PREFIX,
    Failed,
    Left,
    Message,
    Opened,
    Progress,
    Rendered,
    parse_message,
)
from renderctl.blender.facts import Facts
from renderctl.blender.failures import InvalidEvent
from renderctl.core.jobs import Failure, Fault
from renderctl.core.limits import MAX_DEPENDENCIES

FILE = {"path": "//a.png", "absolute": "/a.png", "kind": "image", "owner": "Image: a", "exists": True}
SCENE = {
    "name": "Scene",
    "camera": None,
    "cameras": ["Camera"],
    "frame_start": -5,
    "frame_end": 250,
    "frame_step": 1,
    "frame_current": 0,
    "fps": 23.976,
    "resolution": [1920, 1080],
    "percentage": 100,
    "engine": "CYCLES",
    "samples": 128,
    "format": "PNG",
    "view_layers": ["ViewLayer"],
    "objects": 3,
    "faces": 12,
    "unbaked": [],
}
#: One event of each kind, as sessions of ours send it.
HONEST: dict[str, dict[str, Any]] = {
    "started": {"version": "5.0.1", "label": "5.0.1", "pid": 7},
    "devices": {"devices": ["CPU", "OPTIX: NVIDIA L4"]},
    "ready": {
        "version": "5.0.1",
        "engine": "CYCLES",
        "device": "CPU",
        "width": 64,
        "height": 36,
        "extension": "png",
        "notes": ["One note."],
    },
    "progress": {"task": "t", "fraction": 0.5, "sample": 1, "samples": 2, "remaining_s": 0.5, "phase": "Rendering"},
    "done": {"task": "t", "files": [{"path": "/o/1.png", "name": "1.png"}], "seconds": 0.5, "memory_mb": 300.0},
    "failed": {"task": "t", "fault": "scene", "reason": "No such camera.", "whole_job": True},
    "left": {},
    "facts": {
        "saved_by": "5.0",
        "opened_by": "5.0.1",
        "active_scene": "Scene",
        "scenes": [SCENE],
        "materials": 1,
        "objects": 3,
        "faces": 12,
        "scripts": ["text evil.py"],
        "files": [FILE],
    },
}
#: What no field may be.
ODD: list[object] = [
    None,
    True,
    -1,
    1 << 70,
    -(1 << 70),
    math.nan,
    math.inf,
    1e300,
    "",
    "a\0b",
    "\ud800",
    "x" * 5000,
    [],
    [[]],
    {},
    [None],
    [{"path": 1}],
]
fuzzed = settings(derandomize=True, deadline=None)
documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["\0", "\ud83d", 1 << 80]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def event(kind: str, **changed: Any) -> str:
    return PREFIX + json.dumps({"event": kind, **HONEST[kind], **changed})


def read(line: str) -> Message | InvalidEvent | None:
    try:
        return parse_message(line)
    except InvalidEvent as error:
        return error


def test_what_sessions_of_ours_say_is_understood() -> None:
    read_back = {kind: parse_message(event(kind)) for kind in HONEST}
    assert isinstance(read_back["ready"], Opened)
    assert read_back["ready"].notes == ("One note.",)
    assert isinstance(read_back["progress"], Progress)
    assert (read_back["progress"].fraction, read_back["progress"].task_id) == (0.5, "t")
    assert isinstance(read_back["done"], Rendered)
    assert [file.name for file in read_back["done"].files] == ["1.png"]
    assert read_back["failed"] == Failed(Failure(Fault.SCENE, "No such camera.", whole_job=True), "t")
    assert read_back["left"] == Left()
    assert isinstance(read_back["facts"], Facts)
    assert read_back["facts"].model.scenes[0].resolution == (1920, 1080)
    assert read_back["facts"].files[0].absolute == "/a.png"


@pytest.mark.parametrize("kind", sorted(set(HONEST) - {"left"}))
def test_no_field_of_an_event_is_believed(kind: str) -> None:
    for name in set(HONEST[kind]) - {"label", "pid"}:
        for odd in ODD:
            message = read(event(kind, **{name: odd}))
            assert message is not None
            if isinstance(odd, float) or odd in ("a\0b", "\ud800") or odd == -1:
                assert isinstance(message, InvalidEvent), (name, odd)


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "[]",
        "7",
        "null",
        "",
        "{",
        '{"event": "done"}',
        '{"event": "quit"}',
        '{"event": []}',
        '{"event": {}}',
        '{"event": "left", "x": NaN}',
        '{"event": "left", "x": ' + "9" * 5000 + "}",
        '{"event": ' + "[" * 100_000,
        '{"event":' * 100_000,
        '{"event": "left", "x": ' + "[" * 50_000 + "]" * 50_000 + "}",
    ],
)
def test_what_is_no_event_is_refused(text: str) -> None:
    assert isinstance(read(PREFIX + text), InvalidEvent)


@pytest.mark.slow
def test_a_long_event_is_refused_before_it_is_read() -> None:
    assert isinstance(read(PREFIX + '{"event": "left", "x": "' + "x" * MAX_EVENT_CHARS + '"}'), InvalidEvent)
    nested = ",".join(["[]"] * MAX_EVENT_NODES)
    assert isinstance(read(PREFIX + '{"event": "left", "x": [' + nested + "]}"), InvalidEvent)


def test_facts_have_limits() -> None:
    assert isinstance(read(event("facts", scenes=[SCENE] * 1001)), InvalidEvent)
    assert isinstance(read(event("facts", scenes=[SCENE | {"cameras": ["c"] * 10_001}])), InvalidEvent)
    assert isinstance(read(event("facts", scenes=[SCENE | {"frame_end": 1 << 70}])), InvalidEvent)
    assert isinstance(read(event("facts", scenes=[SCENE | {"fps": 1e400}])), InvalidEvent)
    assert isinstance(read(event("facts", saved_by="x.y")), InvalidEvent)
    assert isinstance(read(event("facts", odd=1)), InvalidEvent)


@pytest.mark.slow
def test_facts_have_so_many_files_and_no_more() -> None:
    assert isinstance(read(event("facts", files=[FILE] * MAX_DEPENDENCIES)), Facts)
    assert isinstance(read(event("facts", files=[FILE] * (MAX_DEPENDENCIES + 1))), InvalidEvent)


def test_only_a_scene_or_a_machine_is_to_blame() -> None:
    assert isinstance(read(event("failed", fault="farm")), InvalidEvent)


def test_sentences_are_cut_and_names_are_not() -> None:
    failed = read(event("failed", reason="x" * 100_000))
    assert isinstance(failed, Failed)
    assert len(failed.failure.reason) == 4000
    assert isinstance(read(event("done", files=[{"path": "/x", "name": "x" * 256}])), InvalidEvent)


@pytest.mark.slow
@fuzzed
@given(st.text())
def test_lines_of_any_kind_are_chatter(line: str) -> None:
    assert line.startswith(PREFIX) or parse_message(line) is None


@pytest.mark.slow
@fuzzed
@given(st.text())
@example("@renderctl {}")
def test_any_text_after_our_word_is_a_message_or_refused(text: str) -> None:
    assert isinstance(read(PREFIX + text), Message | InvalidEvent)


@fuzzed
@given(st.binary())
def test_any_bytes_are_a_message_or_refused(content: bytes) -> None:
    assert isinstance(read(PREFIX + content.decode("utf-8", "surrogateescape")), Message | InvalidEvent)


@pytest.mark.slow
@fuzzed
@given(st.sampled_from(sorted(HONEST)), st.dictionaries(st.text(max_size=8), documents, max_size=4))
def test_any_document_is_a_message_or_refused(kind: str, document: dict[str, Any]) -> None:
    assert isinstance(read(PREFIX + json.dumps({**document, "event": kind})), Message | InvalidEvent)


@fuzzed
@given(st.sampled_from(sorted(set(HONEST) - {"left"})), st.data())
def test_an_event_with_any_field_changed_is_a_message_or_refused(kind: str, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(HONEST[kind])))
    assert isinstance(read(event(kind, **{name: data.draw(documents)})), Message | InvalidEvent)


def test_every_kind_of_event_is_tried_here() -> None:
    assert set(HONEST) == set(events._PARSERS)
