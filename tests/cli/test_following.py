"""Jobs that others work on: waited for, watched, read, worked off; the exit code says how they ended."""

import json
from pathlib import Path

import pytest

from renderctl.core.jobs import Job
from renderctl.farm import Farm
from renderctl.farm.jobs.control import cancel
from tests.cli.conftest import Ctl
from tests.fake_blender import FakeExecutor
from tests.farms import ACTOR, at_work, given_job, given_model, work_off

FAULT = {"fault": "scene", "reason": "The scene is broken.", "whole_job": False}

EITHER_WAY = True


def failing(farm: Farm) -> None:
    """Have the fake Blender fail at frame 2."""
    assert isinstance(farm.executor, FakeExecutor)
    farm.executor.behaviours[2] = lambda blender, order: blender.emit("failed", task=order["task"], **FAULT)


def given_failed_job(farm: Farm) -> Job:
    failing(farm)
    job = given_job(farm, "1-3", max_attempts=1)
    work_off(farm)
    return job


def test_submit_waits_until_the_job_has_succeeded_and_fetches_the_images(ctl: Ctl, given: Farm, tmp_path: Path) -> None:
    given_model(given)
    with at_work(given):
        said = ctl("submit", "shot", "-f", "1-3", "--wait", "--download", "images", "--json")
    assert said.code == 0
    assert (said.document["state"], said.document["files"]) == ("succeeded", 3)
    assert len(list((tmp_path / "images").rglob("*.png"))) == 3


def test_submit_ends_as_its_job_fails_and_says_one_thing_on_stdout(ctl: Ctl, given: Farm) -> None:
    given_model(given)
    failing(given)
    with at_work(given):
        said = ctl("submit", "shot", "-f", "1-3", "--wait", "--json")
    assert said.code == 3
    assert said.document["state"] == "failed"
    assert "The scene is broken." in said.err


def test_submit_gives_up_waiting_and_the_job_goes_on(ctl: Ctl, given: Farm) -> None:
    given_model(given)
    said = ctl("submit", "shot", "--wait", "--timeout", "0.1", "--json")
    assert (said.code, said.document["error"]["code"]) == (5, "gave_up_waiting")
    assert ctl("jobs", "--json").document[0]["state"] == "queued"


def test_the_same_key_makes_the_same_job_and_another_request_with_it_is_refused(ctl: Ctl, given: Farm) -> None:
    given_model(given)
    first, again = (ctl("submit", "shot", "-f", "1-3", "--idempotency-key", "k", "--json") for _ in range(2))
    assert first.document["id"] == again.document["id"]
    assert ctl("submit", "shot", "-f", "4", "--idempotency-key", "k").code == 9


def test_watch_ends_as_the_job_did(ctl: Ctl, given: Farm) -> None:
    job = given_failed_job(given)
    said = ctl("watch", job.id)
    assert said.code == 3
    assert "failed" in said.out
    assert "The scene is broken." in said.err


def test_watch_prints_a_document_a_line(ctl: Ctl, given: Farm) -> None:
    job = given_job(given, "1-3")
    with at_work(given):
        said = ctl("watch", job.id, "--json")
    states = [json.loads(line)["state"] for line in said.out.splitlines()]
    assert states[-1] == "succeeded"
    assert said.code == 0


def test_logs_are_followed_until_the_job_has_ended(ctl: Ctl, given: Farm) -> None:
    job = given_job(given, "1-2")
    with at_work(given):
        said = ctl("logs", "-f", job.id)
    assert said.code == 0
    assert f"==> task {job.id}-2, frame 2, on w1" in said.out


def test_what_failed_is_rendered_again_on_request(ctl: Ctl, given: Farm) -> None:
    job = given_failed_job(given)
    assert isinstance(given.executor, FakeExecutor)
    given.executor.behaviours.clear()
    assert "Queued again: 1 task." in ctl("retry", job.id).err
    work_off(given)
    assert ctl("watch", job.id).code == 0


def test_frames_that_a_job_does_not_have_are_not_rendered_again(ctl: Ctl, given: Farm) -> None:
    job = given_failed_job(given)
    said = ctl("retry", job.id, "--frames", "99")
    assert said.code == 9
    assert "Its frames: 1-3" in said.err


@pytest.mark.slow
def test_a_job_that_waits_for_a_canceled_one_says_so(ctl: Ctl, given: Farm) -> None:
    first = given_job(given, "1", name="first")
    second = given_job(given, "1", name="second", after=("first",))
    cancel(given, ACTOR, first.id)
    assert f"waits for job {first.id} (first), which is canceled" in ctl("status", second.id).out


@pytest.mark.parametrize(("option", "found"), [("--mine", False), ("--project=film", True), ("--state=failed", False)])
def test_jobs_are_filtered(ctl: Ctl, given: Farm, option: str, found: bool) -> None:
    given_job(given, "1", project="film")
    assert bool(ctl("jobs", option, "--json").document) is found


def test_workers_are_listed_drained_and_resumed(ctl: Ctl, given: Farm) -> None:
    from tests.farms import given_worker

    given_worker(given, "node-1")
    assert ctl("workers", "--json").document[0]["id"] == "node-1"
    assert ctl("workers", "drain", "node-1", "--json").document["state"] == "draining"
    assert ctl("workers", "resume", "node-1", "--json").document["state"] == "active"
    assert "node-1" in ctl("workers", "list").out


@pytest.mark.directly
def test_sweep_says_what_it_repaired(ctl: Ctl, given: Farm) -> None:
    assert "0 workers lost" in ctl("sweep", "--now").out


@pytest.mark.slow
@pytest.mark.directly
def test_the_doctor_checks_everything_and_goes_on_after_what_is_broken(ctl: Ctl, given: Farm, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(f"blender: {{paths: [{tmp_path}/none]}}\n")
    said = ctl("doctor", "--json", "--config", "config.yaml")
    assert said.code == 8
    parts = {each["part"]: each["ok"] for each in said.document}
    assert " ".join(parts) == "config data folder database store queue cache executor decoder Blender workers sweep"
    assert all(ok for part, ok in parts.items() if part != "Blender")
