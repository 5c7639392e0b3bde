"""What a session makes of what Blender says, or does not say: with a Blender that follows a script."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from renderctl.blender.events import Progress
from renderctl.blender.failures import SessionFailed, SessionStopped
from renderctl.blender.session import FrameRequest, RenderPlan, Session, SessionTimeouts
from renderctl.core.jobs import Fault
from renderctl.executors import ExitStatus
from tests.blender.scripted import ScriptedBlender
from tests.fakes import FakeClock

LIMITS = SessionTimeouts(start_s=100.0, stall_s=10.0, frame_s=50.0)


READY = {
    "event": "ready",
    "version": "5.0.1",
    "engine": "CYCLES",
    "device": "CPU",
    "width": 64,
    "height": 36,
    "extension": "png",
    "notes": ["One note."],
}
DONE = {
    "event": "done",
    "task": "t",
    "files": [{"path": "/out/0001.png", "name": "0001.png"}],
    "seconds": 0.5,
    "memory_mb": 300.0,
}
FACTS = {
    "event": "facts",
    "saved_by": "5.0",
    "opened_by": "5.0.1",
    "active_scene": "Scene",
    "scenes": [],
    "materials": 0,
    "objects": 0,
    "faces": 0,
    "scripts": [],
    "files": [],
}
LEFT = {"event": "left"}


@pytest.fixture
def order(tmp_path: Path) -> FrameRequest:
    return FrameRequest("t", 1, None, tmp_path, tmp_path / "task.log")


def session_of(tmp_path: Path, blender: ScriptedBlender, clock: FakeClock) -> Session:
    return Session(blender, tmp_path, log=tmp_path / "session.log", clock=clock.monotonic)


def test_chatter_is_passed_over(tmp_path: Path, clock: FakeClock) -> None:
    lines: list[object] = ["Blender 5.0.1", None, "@renderct", {"event": "started", "version": "5.0.1"}]
    assert session_of(tmp_path, ScriptedBlender(clock, lines), clock).wait_started(LIMITS) == "5.0.1"


def test_a_frame_is_opened_ordered_and_reported(tmp_path: Path, clock: FakeClock, order: FrameRequest) -> None:
    blender = ScriptedBlender(clock, [READY, {"event": "progress", "task": "t", "fraction": 0.5, "phase": "x"}, DONE])
    session = session_of(tmp_path, blender, clock)
    seen: list[Progress] = []
    opened = session.open(RenderPlan(Path("/scene.blend")), LIMITS)
    rendered = session.render(order, limits=LIMITS, on_progress=seen.append, stop=threading.Event())
    assert (opened.device, opened.notes) == ("CPU", ("One note.",))
    assert [item.fraction for item in seen] == [0.5]
    assert rendered.files[0].path == Path("/out/0001.png")
    assert blender.sent[0] == {"run": str(tmp_path / "render.py")}
    assert blender.sent[1] == {"task": "t", "frame": 1, "camera": None, "folder": str(tmp_path), "log": str(order.log)}


def test_another_scene_is_opened_after_leaving_the_first(tmp_path: Path, clock: FakeClock) -> None:
    blender = ScriptedBlender(clock, [READY, {"event": "left"}, READY])
    session = session_of(tmp_path, blender, clock)
    session.open(RenderPlan(Path("/a.blend")), LIMITS)
    session.open(RenderPlan(Path("/b.blend")), LIMITS)
    assert [next(iter(sent)) for sent in blender.sent] == ["run", "leave", "run"]


def test_a_fault_of_the_scene_leaves_the_session_alive(tmp_path: Path, clock: FakeClock) -> None:
    failed = {"event": "failed", "fault": "scene", "reason": "No such scene.", "whole_job": True}
    session = session_of(tmp_path, ScriptedBlender(clock, [failed, {"event": "left"}]), clock)
    with pytest.raises(SessionFailed) as error:
        session.open(RenderPlan(Path("/a.blend")), LIMITS)
    assert (error.value.failure.fault, error.value.failure.whole_job) == (Fault.SCENE, True)
    assert session.alive


def test_silence_without_work_is_a_stall(tmp_path: Path, clock: FakeClock, order: FrameRequest) -> None:
    blender = ScriptedBlender(clock, [])
    session = session_of(tmp_path, blender, clock)
    with pytest.raises(SessionFailed, match="neither sent a message nor used the processor for 10 s") as error:
        session.render(order, limits=LIMITS, stop=threading.Event())
    assert error.value.failure.fault is Fault.MACHINE
    assert 10 <= clock.monotonic() < 12
    assert blender.stopped
    assert not session.alive


def test_silence_with_work_is_none(tmp_path: Path, clock: FakeClock, order: FrameRequest) -> None:
    blender = ScriptedBlender(clock, [*[None] * 400, DONE], busy_share=1.0)
    rendered = session_of(tmp_path, blender, clock).render(order, limits=LIMITS, stop=threading.Event())
    assert rendered.seconds == 0.5
    assert clock.monotonic() > 30


def test_a_frame_over_its_time_is_ended(tmp_path: Path, clock: FakeClock, order: FrameRequest) -> None:
    blender = ScriptedBlender(clock, [], busy_share=1.0)
    with pytest.raises(SessionFailed, match="took longer than 50 s"):
        session_of(tmp_path, blender, clock).render(order, limits=LIMITS, stop=threading.Event())
    assert blender.stopped


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (ExitStatus(None, signal=11), "Blender crashed (SIGSEGV). Last output: first | last words"),
        (ExitStatus(134), "Blender crashed (SIGABRT). Last output: first | last words"),
        (ExitStatus(None, signal=9, out_of_memory=True), "Blender ran out of memory and was killed."),
        (ExitStatus(None, signal=9), "Blender was killed, most likely because memory ran out."),
        (ExitStatus(17), "Blender ended too early, with exit code 17."),
    ],
)
def test_an_end_is_explained(
    tmp_path: Path, clock: FakeClock, order: FrameRequest, status: ExitStatus, reason: str
) -> None:
    order.log.write_text("first\n\nlast words\n")
    session = session_of(tmp_path, ScriptedBlender(clock, [status]), clock)
    with pytest.raises(SessionFailed) as error:
        session.render(order, limits=LIMITS, stop=threading.Event())
    assert error.value.failure.reason.startswith(reason)
    assert error.value.failure.fault is Fault.MACHINE
    assert not session.alive


def test_a_frame_is_stopped_soon_after_it_is_asked_to(tmp_path: Path, clock: FakeClock, order: FrameRequest) -> None:
    stop = threading.Event()

    def lines() -> Iterator[object]:
        yield from [None] * 20
        asked.append(clock.monotonic())
        stop.set()
        yield from [None] * 100

    asked: list[float] = []
    blender = ScriptedBlender(clock, [], busy_share=1.0)
    blender._lines = lines()
    with pytest.raises(SessionStopped):
        session_of(tmp_path, blender, clock).render(order, limits=LIMITS, stop=stop)
    assert clock.monotonic() - asked[0] <= 0.2
    assert blender.stopped


def test_closing_ends_it_at_once(tmp_path: Path, clock: FakeClock) -> None:
    blender = ScriptedBlender(clock, [])
    began = clock.monotonic()
    session_of(tmp_path, blender, clock).close()
    assert blender.stopped
    assert clock.monotonic() == began


def test_an_inspection_that_was_begun_ahead_is_the_one_that_is_asked_for(tmp_path: Path, clock: FakeClock) -> None:
    scene = tmp_path / "shot.blend"
    scene.write_bytes(b"as it was")
    blender = ScriptedBlender(clock, [FACTS, LEFT])
    session = session_of(tmp_path, blender, clock)
    session.begin_inspection(scene)
    session.inspect(scene, LIMITS)
    assert [order for order in blender.sent if "run" in order] == blender.sent[:1]


def test_a_scene_that_changed_since_its_inspection_was_begun_is_looked_at_again(
    tmp_path: Path, clock: FakeClock
) -> None:
    scene = tmp_path / "shot.blend"
    scene.write_bytes(b"as it was")
    blender = ScriptedBlender(clock, [FACTS, LEFT, FACTS, LEFT])
    session = session_of(tmp_path, blender, clock)
    session.begin_inspection(scene)
    scene.write_bytes(b"as it is")
    session.inspect(scene, LIMITS)
    assert len([order for order in blender.sent if "run" in order]) == 2


def test_what_makes_no_sense_ends_the_session_and_the_whole_job(
    tmp_path: Path, clock: FakeClock, order: FrameRequest
) -> None:
    blender = ScriptedBlender(clock, [{**DONE, "files": 7}])
    session = session_of(tmp_path, blender, clock)
    with pytest.raises(SessionFailed, match=r"is not valid \(done.files is not a list\)") as error:
        session.render(order, limits=LIMITS, stop=threading.Event())
    assert (error.value.failure.fault, error.value.failure.whole_job) == (Fault.SCENE, True)
    assert blender.stopped
    assert not session.alive


def test_what_was_done_for_another_task_is_not_believed(tmp_path: Path, clock: FakeClock, order: FrameRequest) -> None:
    session = session_of(tmp_path, ScriptedBlender(clock, [{**DONE, "task": "another"}]), clock)
    with pytest.raises(SessionFailed, match="another task"):
        session.render(order, limits=LIMITS, stop=threading.Event())


def test_a_session_that_never_stops_talking_runs_out_of_time_all_the_same(
    tmp_path: Path, clock: FakeClock, order: FrameRequest
) -> None:
    progress = {"event": "progress", "task": "t", "phase": "busy"}
    lines: list[object] = [line for _ in range(600) for line in (progress, None)]
    with pytest.raises(SessionFailed, match="took longer than 50 s"):
        session_of(tmp_path, ScriptedBlender(clock, lines), clock).render(order, limits=LIMITS, stop=threading.Event())


def test_a_flood_of_lines_is_found_out(tmp_path: Path, clock: FakeClock, order: FrameRequest) -> None:
    chatter = "x" * (1 << 20)
    blender = ScriptedBlender(clock, [chatter] * 200)
    with pytest.raises(SessionFailed, match="output never ends"):
        session_of(tmp_path, blender, clock).render(order, limits=LIMITS, stop=threading.Event())


def test_failures_one_after_the_other_while_a_script_ends_are_passed_over(tmp_path: Path, clock: FakeClock) -> None:
    failed = {"event": "failed", "fault": "scene", "reason": "No such scene.", "whole_job": True}
    session = session_of(tmp_path, ScriptedBlender(clock, [failed] * 5000 + [{"event": "left"}]), clock)
    with pytest.raises(SessionFailed, match=r"No such scene\."):
        session.open(RenderPlan(Path("/a.blend")), LIMITS)
    assert session.alive
