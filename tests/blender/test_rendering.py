"""Rendering frames in a warm session."""

import os
import signal
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from renderctl.blender.failures import SessionFailed, SessionStopped
from renderctl.core.jobs import Fault
from renderctl.decoder.pixels import verify
from tests.blender.studio import LIMITS, Studio, mean_colour, pixels

pytestmark = pytest.mark.blender


def test_a_warm_session_renders_frame_after_frame(studio: Studio) -> None:
    opened = studio.open(studio.scene("cube"))
    frames = {frame: studio.render(frame).files[0] for frame in (1, 5, 3)}
    assert (opened.width, opened.height, opened.extension, opened.device) == (64, 36, "png", "CPU")
    assert opened.notes == ()
    assert [file.name for file in frames.values()] == ["0001.png", "0005.png", "0003.png"]
    for file in frames.values():
        verify(file.path, width=64, height=36)
    assert not np.array_equal(pixels(frames[1].path), pixels(frames[5].path))


def test_a_warm_frame_equals_the_frame_of_a_session_of_its_own(studio: Studio, blender: object) -> None:
    studio.open(studio.scene("cube"))
    studio.render(1)
    warm = pixels(studio.render(4).files[0].path)
    studio.close()
    studio.open(studio.scene("cube"))
    assert np.array_equal(warm, pixels(studio.render(4).files[0].path))


def test_progress_ends_with_every_sample(studio: Studio) -> None:
    studio.open(studio.scene("cube"), samples=32, resolution=(400, 300))
    studio.progress.clear()
    studio.render(1)
    fractions = [item.fraction for item in studio.progress if item.fraction is not None]
    assert fractions == sorted(fractions)
    assert studio.progress[-1].phase


def test_each_task_has_a_log_of_its_own(studio: Studio) -> None:
    studio.open(studio.scene("cube"))
    first, second = studio.order(1), studio.order(2)
    for order in (first, second):
        studio.session.render(order, limits=LIMITS, stop=threading.Event())
    assert "renders frame 1 of" in first.log.read_text()
    assert "renders frame 2 of" in second.log.read_text()
    assert "frame 1 of" not in second.log.read_text()


def test_frames_that_are_ordered_together_are_rendered_one_after_the_other(studio: Studio) -> None:
    studio.open(studio.scene("cube"))
    orders = [studio.order(frame) for frame in (1, 4)]
    for order in orders:
        studio.session.request_frame(order)
    together = [pixels(studio.render_order(order).files[0].path) for order in orders]
    for order, image in zip(orders, together, strict=True):
        assert np.array_equal(image, pixels(studio.render(order.frame).files[0].path))
        assert f"renders frame {order.frame} of" in order.log.read_text()


def test_braces_and_blanks_in_a_path_stay_as_they_are(studio: Studio) -> None:
    studio.open(studio.scene("cube"))
    order = studio.order(1)
    folder = order.folder / "{blend_name} über #### %04d"
    folder.mkdir()
    rendered = studio.session.render(replace(order, folder=folder), limits=LIMITS, stop=threading.Event())
    assert [file.path for file in rendered.files] == [folder / "0001.png"]


def test_negative_frames_have_names(studio: Studio) -> None:
    studio.open(studio.scene("cube"))
    assert studio.render(-3).files[0].name == "-003.png"


def test_what_the_compositor_writes_comes_with_the_frame(studio: Studio) -> None:
    studio.open(studio.scene("compositor"))
    names = [[file.name for file in studio.render(frame).files] for frame in (1, 2)]
    assert names[0][0] == "0001.png"
    assert sorted(names[0][1:]) == ["Layers_0001.exr", "beauty_pass_0001.png"]
    assert sorted(names[1][1:]) == ["Layers_0002.exr", "beauty_pass_0002.png"]
    assert not (studio.scene("compositor").parent / "elsewhere").exists()
    for file in studio.render(3).files:
        verify(file.path, width=64, height=36)


def test_scripts_do_not_run_unless_they_are_trusted(studio: Studio) -> None:
    traces = [studio.folder / f"{who} was here" for who in ("text", "driver")]
    opened = studio.open(studio.scene("scripted"))
    studio.render(1)
    assert not any(trace.exists() for trace in traces)
    assert any("--trust-scripts allows them" in note for note in opened.notes)
    opened = studio.open(studio.scene("scripted"), {"trust_scripts": True})
    studio.render(1)
    assert all(trace.exists() for trace in traces)
    assert not any("blocked" in note for note in opened.notes)
    for trace in traces:
        trace.unlink()


def test_an_unbaked_simulation_is_played_up_to_the_frame(studio: Studio) -> None:
    studio.open(studio.scene("simulated"), {"in_order": True})
    fallen = {frame: pixels(studio.render(frame).files[0].path) for frame in (1, 5)}
    studio.open(studio.scene("simulated"), {"in_order": True})
    again = pixels(studio.render(5).files[0].path)
    assert not np.array_equal(fallen[1], fallen[5])
    assert np.array_equal(fallen[5], again)


def test_a_movie_becomes_images_with_a_note(studio: Studio) -> None:
    opened = studio.open(studio.scene("movie"))
    assert opened.extension == "png"
    assert "The scene writes a movie; its frames are rendered as PNG." in opened.notes
    verify(studio.render(1).files[0].path, width=64, height=36)


def test_an_impossible_folder_is_the_machines_fault_and_the_session_goes_on(studio: Studio) -> None:
    studio.open(studio.scene("cube"))
    order = replace(studio.order(1), folder=Path("/proc/nowhere"))
    with pytest.raises(SessionFailed) as failed:
        studio.session.render(order, limits=LIMITS, stop=threading.Event())
    assert failed.value.failure.fault is Fault.MACHINE
    assert not failed.value.failure.whole_job
    assert studio.render(2).files[0].name == "0002.png"


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL])
def test_a_crash_is_the_machines_fault(studio: Studio, number: signal.Signals) -> None:
    studio.open(studio.scene("cube"))
    os.kill(studio.pid, number)
    with pytest.raises(SessionFailed) as failed:
        studio.render(1)
    failure = failed.value.failure
    assert failure.fault is Fault.MACHINE
    assert ("killed" if number is signal.SIGKILL else number.name) in failure.reason
    assert studio.open(studio.scene("cube")).width == 64, "another session does it"


def test_a_session_that_hangs_is_ended(studio: Studio) -> None:
    studio.open(studio.scene("cube"))
    pid = studio.pid
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(SessionFailed, match="neither sent a message nor used the processor for 1 s"):
        studio.render(1, limits=replace(LIMITS, stall_s=1.0))
    assert not Path(f"/proc/{pid}").exists()


def test_a_frame_over_its_time_is_ended(studio: Studio) -> None:
    studio.open(studio.scene("cube"), samples=1 << 20, resolution=(2000, 1000))
    with pytest.raises(SessionFailed, match="took longer than 1 s"):
        studio.render(1, limits=replace(LIMITS, frame_s=1.0))


def test_a_frame_can_be_stopped(studio: Studio) -> None:
    studio.open(studio.scene("cube"), samples=1 << 20, resolution=(2000, 1000))
    stop = threading.Event()
    with pytest.raises(SessionStopped):
        studio.session.render(studio.order(1), limits=LIMITS, on_progress=lambda _: stop.set(), stop=stop)


def test_the_colour_of_a_texture_arrives(studio: Studio) -> None:
    studio.open(studio.scene("cube"), settings={"view_settings.view_transform": "Raw", "render.film_transparent": "on"})
    red, green, blue = mean_colour(studio.render(1).files[0].path)
    assert red > green > blue
