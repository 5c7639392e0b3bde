"""Parts of the farm are away for a while: nothing is lost, nothing is done twice, and no worker dies of it."""

import random
import sqlite3
import threading
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event
from sqlalchemy.exc import OperationalError

from renderctl.core.errors import NotStored, OutputNotWritable, StoreUnavailable
from renderctl.core.jobs import Fault, Job
from renderctl.core.states import AttemptState, JobState
from renderctl.farm import Farm
from renderctl.farm.jobs.attempt_logs import kept_log
from renderctl.farm.jobs.control import cancel
from renderctl.farm.worker.failures import failure_from
from renderctl.queues import Ticket
from renderctl.stores.local import LocalStore
from tests.databases import Outage
from tests.fake_blender import Behaviour, FakeExecutor, crashed, held, once, truncated
from tests.fakes import ForgetfulCache
from tests.farms import ACTOR, at_work, given_job, given_worker, log_of, wait_for, work_off, work_until


class UnsteadyStore(LocalStore):
    """A store that is away while it is said to be."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.away = False
        self.refused = 0

    def put(self, path: Path, digest: str, *, replace: bool = False) -> bool:
        self._require()
        return super().put(path, digest, replace=replace)

    def get(self, digest: str, path: Path) -> None:
        self._require()
        super().get(digest, path)

    def put_log(self, attempt_id: str, pieces: Iterable[bytes]) -> None:
        self._require()
        super().put_log(attempt_id, pieces)

    def _require(self) -> None:
        if self.away:
            self.refused += 1
            raise StoreUnavailable


def succeeded(farm: Farm, job: Job) -> bool:
    return farm.repository.jobs.get(job.id).state is JobState.SUCCEEDED


def tries(farm: Farm, job: Job) -> list[AttemptState]:
    return [attempt.state for attempt in farm.repository.attempts.of_job(job.id)]


def test_a_frame_that_ends_while_the_database_is_away_is_kept_and_published_later(
    farm: Farm, executor: FakeExecutor, outage: Outage
) -> None:
    executor.behaviours[2] = held
    job = given_job(farm, "1-4")
    with at_work(farm):
        wait_for(farm, lambda: farm.repository.tasks.counts(job.id).succeeded == 1)
        outage.away = True
        executor.gate.set()
        wait_for(farm, lambda: outage.refused > 6)
        outage.away = False
        wait_for(farm, lambda: succeeded(farm, job))
    assert tries(farm, job) == [AttemptState.SUCCEEDED] * 4
    assert sorted(executor.rendered) == [1, 2, 3, 4]


@pytest.mark.slow
def test_a_failure_while_the_database_is_away_is_told_later_and_the_worker_goes_on(
    farm: Farm, executor: FakeExecutor, outage: Outage
) -> None:
    waiting = threading.Event()

    def crash_when_away(*order: object) -> None:
        outage.away = True
        waiting.set()
        crashed(*order)  # type: ignore[arg-type]

    executor.behaviours[1] = once(crash_when_away)
    job = given_job(farm, "1", max_slots=1)
    with at_work(farm):
        waiting.wait(10)
        wait_for(farm, lambda: outage.refused > 5)
        outage.away = False
        wait_for(farm, lambda: succeeded(farm, job))
    assert tries(farm, job) == [AttemptState.FAILED, AttemptState.SUCCEEDED]


@pytest.mark.slow
def test_a_database_that_fails_again_and_again_costs_no_attempt_and_no_worker(farm: Farm) -> None:
    """Whatever a slot is about to do, its transaction fails with a chance of one in ten."""
    chance = random.Random(7)

    def begin(_connection: Connection) -> None:
        if threading.current_thread().name in ("slot-0", "publisher") and chance.random() < 0.1:
            raise OperationalError("BEGIN", {}, sqlite3.OperationalError("disk I/O error"))

    job = given_job(farm, "1-5", max_slots=1)
    event.listen(farm.repository.database.engine, "begin", begin)
    with at_work(farm):
        wait_for(farm, lambda: succeeded(farm, job))
    assert [task.attempts for task in farm.repository.tasks.of_job(job.id)] == [0] * 5


@pytest.mark.slow
def test_a_store_that_is_away_for_a_while_costs_no_attempt(farm: Farm, executor: FakeExecutor) -> None:
    store = UnsteadyStore(farm.settings.data_dir / "store")
    executor.behaviours[2] = held
    farm = replace(farm, store=store)
    job = given_job(farm, "1-4")
    with at_work(farm):
        wait_for(farm, lambda: farm.repository.tasks.counts(job.id).succeeded == 1)
        store.away = True
        executor.gate.set()
        wait_for(farm, lambda: 2 in executor.rendered)
        farm.clock.wait(None, 0.3)
        store.away = False
        wait_for(farm, lambda: succeeded(farm, job))
    assert tries(farm, job) == [AttemptState.SUCCEEDED] * 4


class LateForLogs(LocalStore):
    """A store that goes away for a moment between a frame's outputs and its log."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.refused = 0

    def put_log(self, attempt_id: str, pieces: Iterable[bytes]) -> None:
        if threading.current_thread().name == "publisher" and not self.refused:
            self.refused += 1
            raise StoreUnavailable
        super().put_log(attempt_id, pieces)


@pytest.mark.slow
@pytest.mark.parametrize("frames", ["1", "1-20"], ids=["one", "many together"])
def test_a_log_outwaits_a_store_that_goes_away_after_the_outputs(farm: Farm, frames: str) -> None:
    store = LateForLogs(farm.settings.data_dir / "store")
    farm = replace(farm, store=store)
    job = given_job(farm, frames)
    work_off(farm, idle_exit_s=1.0)
    assert store.refused == 1
    assert all(any(kept_log(farm, attempt)) for attempt in farm.repository.attempts.of_job(job.id))


@pytest.mark.slow
def test_a_heart_beats_on_while_logs_come_and_go(farm: Farm, executor: FakeExecutor) -> None:
    """The log of a frame is gone the moment that it is published, whoever is reading it."""
    job = given_job(farm, "1-60")
    with at_work(farm):
        wait_for(farm, lambda: succeeded(farm, job))
        assert any(thread.name == "heartbeat" for thread in threading.enumerate())


def test_logs_of_a_killed_worker_are_kept_by_the_next_one(farm: Farm) -> None:
    left = farm.settings.data_dir / "scratch" / "w1" / "slot-0" / "logs"
    left.mkdir(parents=True)
    (left / "attempt9.log").write_bytes(b"the last words")
    other = farm.settings.data_dir / "scratch" / "w7" / "slot-0" / "logs"
    other.mkdir(parents=True)
    (other / "attempt7.log").write_bytes(b"mine too")
    (farm.settings.data_dir / "scratch" / "w7.lock").touch()
    job = given_job(farm, "1")
    work_until(farm, job)
    assert log_of(farm.store, "attempt9") == b"the last words"
    assert log_of(farm.store, "attempt7") == b"mine too"
    assert not list((farm.settings.data_dir / "scratch").iterdir())


def test_a_worker_that_lost_its_frame_throws_the_result_away(farm: Farm, executor: FakeExecutor) -> None:
    executor.behaviours[1] = once(held)
    job = given_job(farm, "1-2")
    with at_work(farm):
        wait_for(farm, lambda: farm.repository.attempts.running(job.id))
        held_here = farm.repository.attempts.running(job.id)[0]
        thief = given_worker(farm, "w2")
        farm.repository.attempts.release([held_here])  # as the sweep does to one that is taken for dead
        stolen = farm.repository.attempts.claim(job.id, thief).attempts[0]
        assert stolen.number == held_here.number
        executor.gate.set()
        wait_for(farm, lambda: farm.repository.tasks.counts(job.id).succeeded == 1)
        outputs, _ = farm.repository.outputs.of_job(job.id)
        assert [output.frame for output in outputs] == [2]


@pytest.mark.parametrize("behaviour", [truncated, crashed], ids=["truncated", "crashed"])
def test_a_frame_that_failed_gives_its_job_a_turn_when_it_may_be_tried_again(
    farm: Farm, executor: FakeExecutor, behaviour: Behaviour
) -> None:
    executor.behaviours[1] = behaviour
    job = given_job(farm, "1")
    work_off(farm)
    assert farm.queue.get(["default"], 0) is None
    assert farm.queue.get(["default"], 3) == Ticket(job.id, farm.repository.jobs.get(job.id).serial)


class FrozenStore(LocalStore):
    """A store that takes logs and never answers."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.asked, self.thawed = threading.Event(), threading.Event()

    def put_log(self, attempt_id: str, pieces: Iterable[bytes]) -> None:
        self.asked.set()
        self.thawed.wait(60)
        super().put_log(attempt_id, pieces)


class FrozenCache(ForgetfulCache):
    """A cache that never answers."""

    def __init__(self) -> None:
        self.asked, self.thawed = threading.Event(), threading.Event()

    def append(self, key: str, text: bytes, **more: Any) -> None:
        self.asked.set()
        self.thawed.wait(60)


@pytest.mark.slow
@pytest.mark.parametrize("frozen", ["store", "cache"])
def test_a_heart_beats_on_while_the_store_or_the_cache_is_frozen(
    farm: Farm, executor: FakeExecutor, frozen: str
) -> None:
    store, cache = FrozenStore(farm.settings.data_dir / "store"), FrozenCache()
    ice = store if frozen == "store" else cache
    executor.behaviours[1] = held
    icy = replace(farm, **{frozen: ice})  # type: ignore[arg-type]
    job = given_job(icy, "1")
    with at_work(icy):
        assert ice.asked.wait(20)
        (worker,) = farm.repository.workers.all()
        later = worker.seen_at + timedelta(seconds=2 * farm.settings.worker.heartbeat_limit)
        wait_for(farm, lambda: farm.repository.workers.all()[0].seen_at > later)
        assert len(farm.repository.attempts.running(job.id)) == 1
        ice.thawed.set()
        executor.gate.set()
        wait_for(farm, lambda: succeeded(farm, job))
    assert tries(farm, job) == [AttemptState.SUCCEEDED]


def test_a_worker_that_is_halted_while_the_store_is_away_charges_nothing(farm: Farm, executor: FakeExecutor) -> None:
    store = UnsteadyStore(farm.settings.data_dir / "store")
    executor.behaviours[1] = held
    away = replace(farm, store=store)
    job = given_job(away, "1")
    with at_work(away) as worker:
        wait_for(farm, lambda: farm.repository.attempts.running(job.id))
        store.away = True
        executor.gate.set()
        wait_for(farm, lambda: store.refused > 1)  # the log, and the image
        worker.abort()
    assert tries(farm, job) == [AttemptState.CANCELED]
    assert [task.attempts for task in farm.repository.tasks.of_job(job.id)] == [0]


@pytest.mark.slow
def test_a_job_that_is_canceled_while_the_store_is_away_gives_the_slot_free(farm: Farm, executor: FakeExecutor) -> None:
    store = UnsteadyStore(farm.settings.data_dir / "store")
    executor.behaviours[1] = held
    away = replace(farm, store=store)
    stuck = given_job(away, "1")
    with at_work(away):
        wait_for(farm, lambda: farm.repository.attempts.running(stuck.id))
        store.away = True
        executor.gate.set()
        wait_for(farm, lambda: store.refused > 1)
        cancel(farm, ACTOR, stuck.id)
        wait_for(farm, lambda: tries(farm, stuck) == [AttemptState.CANCELED])
        store.away = False
        other = given_job(away, "2")
        wait_for(farm, lambda: succeeded(farm, other))


def test_what_a_farm_that_fails_costs_is_not_the_workers_fault() -> None:
    assert failure_from(StoreUnavailable()).fault is Fault.FARM
    assert failure_from(NotStored()).fault is Fault.FARM
    assert failure_from(OutputNotWritable()).fault is Fault.MACHINE


@pytest.mark.slow
def test_a_worker_that_is_halted_while_the_database_is_away_ends_without_a_word_too_many(
    farm: Farm, executor: FakeExecutor, outage: Outage, caplog: pytest.LogCaptureFixture
) -> None:
    executor.behaviours[1] = held
    job = given_job(farm, "1")
    with at_work(farm) as worker:
        wait_for(farm, lambda: farm.repository.attempts.running(job.id))
        outage.away = True
        executor.gate.set()
        wait_for(farm, lambda: outage.refused > 3)
        worker.abort()
    outage.away = False
    assert "Traceback" not in caplog.text
    work_until(farm, job)
    assert tries(farm, job) == [AttemptState.LOST, AttemptState.SUCCEEDED]


def test_a_job_whose_model_the_store_has_lost_fails_and_says_so_without_trying_every_frame(farm: Farm) -> None:
    job = given_job(farm, "1-40", max_attempts=1)
    (lost,) = farm.repository.models.inputs(job.model_id)
    farm.store.remove({lost.digest})
    work_until(farm, job)
    failed = farm.repository.jobs.get(job.id)
    assert failed.state is JobState.FAILED
    assert lost.digest in (failed.error or "")
    assert tries(farm, job) == [AttemptState.FAILED]
