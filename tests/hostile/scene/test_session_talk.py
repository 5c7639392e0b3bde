"""What scripts of a scene may say in place of the session: it costs their attempt, never the worker."""

import os
import threading
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from renderctl.blender.events import PREFIX
from renderctl.blender.failures import SessionFailed, SessionStopped
from renderctl.blender.session import FrameRequest, RenderPlan, Session, SessionTimeouts
from renderctl.core.jobs import Job
from renderctl.core.limits import MAX_NOTES
from renderctl.core.states import JobState
from renderctl.executors import ExitStatus
from renderctl.executors.line_reader import MAX_LINE_BYTES, LineReader
from renderctl.farm import Farm
from tests.blender.scripted import ScriptedBlender
from tests.blender.test_events import HONEST, documents
from tests.fake_blender import Behaviour, FakeBlender, FakeExecutor, once
from tests.fakes import FakeClock
from tests.farms import at_work, given_job, given_model, wait_for, work_off

LIMITS = SessionTimeouts(start_s=20.0, stall_s=5.0, frame_s=20.0)
NONSENSE = [
    "{}",
    "7",
    '{"event": null}',
    '{"event": "done"}',
    '{"event": ' + "[" * 100_000,
    '{"event": "done", "files": [], "seconds": ' + "9" * 5000 + ', "memory_mb": 1}',
    '{"event": "done", "files": [], "seconds": NaN, "memory_mb": 1}',
    '{"event": "done", "files": [], "seconds": 1e300, "memory_mb": 1}',
    '{"event": "done", "files": [{"path": "/a\\u0000b", "name": "a\\u0000b"}], "seconds": 1, "memory_mb": 1}',
    '{"event": "failed", "fault": "scene", "reason": "\\ud800"}',
    '{"event": "failed", "fault": "farm", "reason": "It is nobody\'s fault."}',
    '{"event": "progress", "fraction": {"no": "number"}}',
    '{"event": "devices", "devices": 7}',
]
#: What is awaited first, by what is asked of a session.
AWAITED = {
    "started": "started",
    "inspect": "facts",
    "devices": "devices",
    "open": "ready",
    "render": "done",
    "leave": "left",
}


def events(*kinds: str) -> st.SearchStrategy[object]:
    """Events of these kinds, with fields missing or odd."""
    fields = sorted({name for honest in HONEST.values() for name in honest})
    return st.builds(
        lambda kind, honest, changed: {**(HONEST[kind] if honest else {}), **changed, "event": kind},
        st.sampled_from(kinds),
        st.booleans(),
        st.dictionaries(st.sampled_from(fields), documents, max_size=3),
    )


def lines(kind: str) -> st.SearchStrategy[list[object]]:
    """What may come: chatter, silence, events of any kind, first of the one that is awaited; the end."""
    other = (
        st.none()
        | st.text()
        | st.text().map(lambda text: PREFIX + text)
        | st.binary().map(lambda content: PREFIX + content.decode("utf-8", "surrogateescape"))
        | events(*HONEST)
        | st.just(ExitStatus(0))
    )
    return st.tuples(events(kind) | other, st.lists(other, max_size=4)).map(lambda parts: [parts[0], *parts[1]])


def saying(text: str) -> Behaviour:
    """A script that writes a line to the wire while the frame is rendered."""

    def behaviour(blender: FakeBlender, order: Mapping[str, Any]) -> None:
        blender.print(PREFIX + text)

    return behaviour


def breaking(error: Exception) -> Behaviour:
    """What nobody has thought of."""

    def behaviour(blender: FakeBlender, order: Mapping[str, Any]) -> None:
        blender.break_with(error)

    return behaviour


@pytest.mark.slow
@settings(max_examples=40, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data(), asked=st.sampled_from(sorted(AWAITED)))
def test_whatever_is_said_the_session_fails_or_goes_on(tmp_path: Path, data: st.DataObject, asked: str) -> None:
    clock = FakeClock()
    session = Session(
        ScriptedBlender(clock, data.draw(lines(AWAITED[asked]))), tmp_path, log=tmp_path / "log", clock=clock.monotonic
    )
    operations: dict[str, Callable[[], object]] = {
        "started": lambda: session.wait_started(LIMITS),
        "inspect": lambda: session.inspect(Path("/a.blend"), LIMITS),
        "devices": lambda: session.devices(LIMITS),
        "open": lambda: session.open(RenderPlan(Path("/a.blend")), LIMITS),
        "render": lambda: session.render(
            FrameRequest("t", 1, None, tmp_path, tmp_path / "log"), limits=LIMITS, stop=threading.Event()
        ),
        "leave": lambda: session.end_script(LIMITS),
    }
    try:
        operations[asked]()
        session.end_script(LIMITS)
    except (SessionFailed, SessionStopped):
        pass
    session.close()


@pytest.mark.slow
def test_nonsense_ends_its_job_and_the_worker_renders_the_next(farm: Farm, executor: FakeExecutor) -> None:
    hostile, honest = given_model(farm, "hostile"), given_model(farm, "honest")
    with at_work(farm) as worker:
        for frame, text in enumerate(NONSENSE, 1):
            executor.behaviours[frame] = saying(text)
            job = given_job(farm, str(frame), model=hostile)
            wait_for(farm, partial(_has_failed, farm, job))
            assert "scripts have interfered" in (farm.repository.jobs.get(job.id).error or ""), text
        last = given_job(farm, "100", model=honest)
        wait_for(farm, lambda: farm.repository.jobs.get(last.id).state is JobState.SUCCEEDED)
        assert not worker.wait(0.0)


def _has_failed(farm: Farm, job: Job) -> bool:
    return farm.repository.jobs.get(job.id).state is JobState.FAILED


def test_an_error_that_nobody_expected_costs_the_attempt(farm: Farm, executor: FakeExecutor) -> None:
    executor.behaviours[1] = once(breaking(KeyError("event")))
    job = given_job(farm, "1-3", max_attempts=1)
    work_off(farm)
    (failed,) = farm.repository.attempts.of_job(job.id, 1)
    assert failed.error == "renderctl met an error that it did not expect (KeyError)."
    assert farm.repository.tasks.counts(job.id).succeeded == 2
    assert executor.started[1].stopped.is_set(), "its session is given up"


def test_errors_that_nobody_expected_have_blender_tried(farm: Farm, executor: FakeExecutor) -> None:
    executor.behaviours.update({frame: breaking(RecursionError()) for frame in (1, 2)})
    with at_work(farm):
        job = given_job(farm, "1-3", max_attempts=1)
        wait_for(farm, lambda: farm.repository.tasks.counts(job.id).failed == 2)
        wait_for(farm, lambda: farm.repository.tasks.counts(job.id).succeeded == 1)
    assert sum(blender.tried for blender in executor.started) == 2, "when the worker began, and after the second error"


def test_the_notes_of_a_job_come_to_an_end(farm: Farm) -> None:
    job = given_job(farm, "1")
    for opened in range(5):
        farm.repository.jobs.add_notes(job.id, [f"Note {number} of session {opened}" for number in range(60)])
    assert len(farm.repository.jobs.get(job.id).notes) == MAX_NOTES


def test_a_line_without_an_end_takes_no_memory_without_an_end() -> None:
    ours, theirs = os.pipe()
    reader = LineReader(ours, os.getpid())

    def write() -> None:
        with os.fdopen(theirs, "wb") as pipe:
            for _ in range((MAX_LINE_BYTES >> 20) + 8):
                pipe.write(b"x" * (1 << 20))
            pipe.write(b"\nnext\n")

    writing = threading.Thread(target=write)
    writing.start()
    line, then = _next(reader), _next(reader)
    writing.join()
    reader.close()
    os.close(ours)
    assert len(line) == MAX_LINE_BYTES
    assert then == "next"


def _next(reader: LineReader) -> str:
    while (line := reader.read(1.0)) is None:
        pass
    return line
