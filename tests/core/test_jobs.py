"""Jobs: what may be asked, and how failures are tried again."""

import json
from collections.abc import Callable

import pytest

from renderctl.core.errors import InvalidInput
from renderctl.core.frames import FrameSet
from renderctl.core.jobs import (
    RETRY_DELAYS_S,
    Failure,
    Fault,
    NewJob,
    RenderOptions,
    Replacement,
    TaskCounts,
    retry_delay,
)

MACHINE = Failure(Fault.MACHINE, "The GPU is gone.")


def new_job(**changes: object) -> NewJob:
    values: dict[str, object] = {
        "name": "shot",
        "model_id": "m1",
        "options": RenderOptions(),
        "frames": FrameSet.parse("1-3"),
    }
    return NewJob(**{**values, **changes})  # type: ignore[arg-type]


def test_options_come_back_from_a_json_document_as_they_were() -> None:
    options = RenderOptions(
        scene='"); import os',
        view_layer="Layer",
        engine="cycles",
        samples=16,
        resolution=(1920, 1080),
        percentage=50,
        quality="2k",
        format="OPEN_EXR",
        device="cpu",
        denoise=False,
        settings={"cycles.max_bounces": "4"},
        replacements=(Replacement("Cube", "_inputs/chair.glb"),),
        allow_missing=True,
        trust_scripts=True,
    )
    assert RenderOptions.from_document(json.loads(json.dumps(options.as_document()))) == options


def test_no_options_come_back_as_none() -> None:
    assert RenderOptions.from_document(json.loads(json.dumps(RenderOptions().as_document()))) == RenderOptions()
    assert RenderOptions.from_document({}) == RenderOptions()


def test_an_option_of_a_newer_version_is_passed_over() -> None:
    assert RenderOptions.from_document({"samples": 4, "sparkles": True}) == RenderOptions(samples=4)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: RenderOptions(engine="cycle"), "engine 'cycle'"),
        (lambda: RenderOptions(device="gpu"), "device 'gpu'"),
        (lambda: RenderOptions(quality="8k"), "quality '8k'"),
        (lambda: RenderOptions(format="png"), "format 'png'"),
        (lambda: RenderOptions(samples=0), "number of samples of 0"),
        (lambda: RenderOptions(percentage=-5), "percentage of -5"),
        (lambda: RenderOptions(resolution=(0, 1080)), "resolution of 0"),
        (lambda: RenderOptions(resolution=(1920, 10**6)), "resolution of 1000000"),
        (lambda: new_job(priority=11), "priority of 11"),
        (lambda: new_job(priority=-1), "priority of -1"),
        (lambda: new_job(max_attempts=0), "attempts of 0"),
        (lambda: new_job(max_slots=0), "slots of 0"),
        (lambda: new_job(frame_timeout_s=0.0), "timeout of 0.0"),
        (lambda: new_job(frame_timeout_s=float("nan")), "timeout of nan"),
        (lambda: new_job(name=" "), "name"),
        (lambda: new_job(pool=""), "pool"),
        (lambda: new_job(project=""), "project"),
        (lambda: new_job(pool="p" * 256), "at most 255 characters"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(make: Callable[[], object], named: str) -> None:
    with pytest.raises(InvalidInput, match=named):
        make()


def test_a_near_miss_is_answered_with_a_suggestion() -> None:
    with pytest.raises(InvalidInput) as caught:
        RenderOptions(engine="cycle")
    assert caught.value.hint == "Did you mean 'cycles'?"


def test_a_retry_does_not_help_the_scene() -> None:
    assert retry_delay(Failure(Fault.SCENE, "There is no camera."), attempts=1, max_attempts=3) is None


def test_a_machines_fault_is_tried_again_with_growing_delays_until_the_attempts_are_used_up() -> None:
    delays = [retry_delay(MACHINE, attempts, max_attempts=6) for attempts in range(1, 7)]
    assert delays == [*RETRY_DELAYS_S, RETRY_DELAYS_S[-1], None]


def test_one_attempt_is_no_retry() -> None:
    assert retry_delay(MACHINE, attempts=1, max_attempts=1) is None


def test_the_total_is_of_all_states() -> None:
    assert TaskCounts(blocked=1, queued=2, running=3, succeeded=4, failed=5, canceled=6).total == 21
