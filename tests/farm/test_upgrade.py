"""`database upgrade` beside workers: who is at work keeps it from happening, and who slept through it is not known."""

import pytest

from renderctl.core.errors import Conflict
from renderctl.core.workers import Heartbeat
from renderctl.farm import Farm
from renderctl.repository.migrations import fence_workers
from tests.farms import ACTOR, given_job, given_worker


def test_a_worker_whose_heart_beats_keeps_the_database_as_it_is(farm: Farm) -> None:
    claimant = given_worker(farm, "w1")
    with pytest.raises(Conflict, match="such as w1"):
        fence_workers(farm.repository.database.engine, 60.0)
    farm.repository.workers.deregister("w1", claimant.incarnation, actor=ACTOR)
    fence_workers(farm.repository.database.engine, 60.0)


def test_a_worker_that_was_silent_for_too_long_keeps_nobody_from_upgrading(farm: Farm) -> None:
    given_worker(farm, "w1")
    fence_workers(farm.repository.database.engine, 0.0)


def test_a_worker_that_slept_through_an_upgrade_is_told_that_it_is_not_known(farm: Farm) -> None:
    claimant = given_worker(farm, "w1")
    job = given_job(farm, "1-3")
    attempt = farm.repository.attempts.claim(job.id, claimant).attempts[0]
    fence_workers(farm.repository.database.engine, 0.0)
    assert farm.repository.workers.heartbeat(Heartbeat("w1", claimant.incarnation, {attempt.id: 0.5})).superseded
    assert farm.repository.attempts.claim(job.id, claimant).attempts == ()
