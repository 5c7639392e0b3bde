"""A user who is disabled while jobs of theirs wait and run: nothing new of theirs is rendered."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from renderctl.core.actors import Actor, Role, Via
from renderctl.core.audit import AuditFilter
from renderctl.core.errors import TokenRefused
from renderctl.core.states import JobState
from renderctl.farm import Farm
from renderctl.farm.jobs.control import pause, resume, retry
from renderctl.farm.jobs.status import status
from renderctl.farm.jobs.submit import SubmitRequest, submit
from renderctl.farm.people.users import add_user, disable_user, enable_user
from tests.databases import farm_on
from tests.fakes import FakeClock
from tests.farms import ACTOR, close, given_model, given_worker

EVE = Actor("eve", role=Role.ARTIST, projects=frozenset(["default"]), via=Via.TOKEN)


@pytest.fixture
def farm(database_url: str, tmp_path: Path, clock: FakeClock) -> Iterator[Farm]:
    made = farm_on(database_url, tmp_path, clock)
    for name in ("eve", "bob"):
        add_user(made, ACTOR, name, Role.ARTIST)
    yield made
    close(made)


def given_job_of(farm: Farm, actor: Actor, frames: str = "1-3") -> str:
    return submit(farm, actor, given_model(farm), SubmitRequest(frames=frames)).job.id


def test_their_jobs_pause_and_say_why_and_those_of_others_go_on(farm: Farm) -> None:
    queued, others = given_job_of(farm, EVE), given_job_of(farm, replace(EVE, name="bob"))
    paused = given_job_of(farm, EVE)
    pause(farm, EVE, paused)
    assert status(farm, ACTOR, queued)["state"] == "queued"
    disable_user(farm, ACTOR, "eve")
    document = status(farm, ACTOR, queued)
    assert (document["state"], document["waiting_reason"]) == ("paused", "paused: its owner, eve, was disabled")
    assert status(farm, ACTOR, others)["state"] == "queued"
    assert status(farm, ACTOR, paused)["waiting_reason"] == "paused"
    (entry,) = farm.repository.audit.newest(entry_filter=AuditFilter(action="user.disable"))
    assert entry.details["paused_jobs"] == 1


def test_a_frame_that_runs_may_finish_and_no_other_starts(farm: Farm) -> None:
    job_id, claimant = given_job_of(farm, EVE), given_worker(farm)
    assert len(farm.repository.attempts.claim(job_id, claimant).attempts) == 1
    disable_user(farm, ACTOR, "eve")
    assert farm.repository.attempts.claim(job_id, replace(claimant, slot=1)).attempts == ()
    assert [attempt.ended_at for attempt in farm.repository.attempts.of_job(job_id)] == [None]


def test_enabled_again_they_resume_what_is_theirs_themselves(farm: Farm) -> None:
    job_id = given_job_of(farm, EVE)
    disable_user(farm, ACTOR, "eve")
    enable_user(farm, ACTOR, "eve")
    assert farm.repository.jobs.get(job_id).state is JobState.PAUSED
    assert resume(farm, EVE, job_id).state is JobState.QUEUED
    pause(farm, EVE, job_id)
    assert status(farm, EVE, job_id)["waiting_reason"] == "paused", "which they did themselves"


def test_an_operator_may_go_on_with_a_job_of_a_disabled_user(farm: Farm) -> None:
    job_id = given_job_of(farm, EVE)
    disable_user(farm, ACTOR, "eve")
    assert resume(farm, replace(EVE, name="oli", role=Role.OPERATOR), job_id).state is JobState.QUEUED


def test_a_request_that_was_let_in_just_before_begins_nothing_after(farm: Farm) -> None:
    job_id, canceled = given_job_of(farm, EVE), given_job_of(farm, EVE)
    farm.repository.jobs.cancel(canceled, actor=EVE)
    disable_user(farm, ACTOR, "eve")
    for begin in (
        lambda: given_job_of(farm, EVE),
        lambda: resume(farm, EVE, job_id),
        lambda: retry(farm, EVE, canceled),
    ):
        with pytest.raises(TokenRefused):
            begin()
    assert farm.repository.jobs.get(job_id).state is JobState.PAUSED
