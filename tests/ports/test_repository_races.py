"""Many hands at one database: whatever the order of their steps, its rows fit together."""

import multiprocessing
import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, select

from renderctl.core.attempts import Claimant, Cost
from renderctl.core.clocks import SystemClock
from renderctl.core.errors import AttemptSuperseded, IllegalTransition
from renderctl.core.frames import FrameSet
from renderctl.core.jobs import Attempt, Failure, Fault, Input, Job, NewJob, Output, RenderOptions, TaskCounts
from renderctl.core.new_model import NewModel
from renderctl.core.states import ENDED_JOB, OPEN_ATTEMPT, AttemptState, JobState, TaskState
from renderctl.core.workers import Heartbeat
from renderctl.farm import Farm
from renderctl.farm.admin.sweep import sweep
from renderctl.repository import open_repository
from renderctl.repository.database.batches import FIRST_ROWS as BATCH
from renderctl.repository.database.engine import open_engine
from renderctl.repository.migrations import HEAD, current_revision, require_current
from renderctl.repository.schema.jobs import attempts, outputs, tasks
from tests.databases import farm_on
from tests.fakes import FakeClock
from tests.farms import ACTOR, FACTS, QUICK, close, given_job, given_model, given_worker


def image(attempt: Attempt) -> Output:
    return Output(f"{attempt.frame:04d}.png", "a" * 64, 10, 4, 4, attempt.frame, None, attempt.number)


def claimed(farm: Farm, job: Job, slot: Claimant) -> Attempt:
    return farm.repository.attempts.claim(job.id, slot).attempts[0]


@pytest.mark.slow
def test_two_last_tasks_that_end_at_once_end_the_job(tmp_path: Path, database_url: str) -> None:
    farm = farm_on(database_url, tmp_path)
    slot = given_worker(farm)
    model = given_model(farm)
    for _ in range(10):
        job = given_job(farm, "1-2", model=model)
        both = farm.repository.attempts.claim(job.id, slot, limit=2).attempts
        line = threading.Barrier(2)

        def end(attempt: Attempt, line: threading.Barrier = line, job: Job = job) -> None:
            line.wait()
            farm.repository.attempts.complete(attempt, [image(attempt)], Cost())
            farm.repository.jobs.finish_if_done(job.id)

        threads = [threading.Thread(target=end, args=(attempt,)) for attempt in both]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert farm.repository.jobs.get(job.id).state is JobState.SUCCEEDED
    close(farm)


def at_once(*deeds: Callable[[], Any]) -> list[Any]:
    """What the deeds return, all begun in the same moment."""
    line = threading.Barrier(len(deeds))

    def do(deed: Callable[[], Any]) -> Any:
        line.wait()
        return deed()

    with ThreadPoolExecutor(len(deeds)) as hands:
        return list(hands.map(do, deeds))


@pytest.mark.slow
def test_submissions_with_one_key_at_the_same_moment_make_one_job(tmp_path: Path, database_url: str) -> None:
    farm = farm_on(database_url, tmp_path)
    model = given_model(farm)
    for round_ in range(5):
        new = NewJob("night", model.id, RenderOptions(), FrameSet.parse("1-3"), idempotency_key=f"build-{round_}")
        added = at_once(*[lambda new=new: farm.repository.jobs.add(new, actor=ACTOR)] * 4)
        assert len({job.id for job, _ in added}) == 1
        assert sum(fresh for _, fresh in added) == 1
    close(farm)


def test_uploads_of_one_name_at_the_same_moment_get_versions_of_their_own(tmp_path: Path, database_url: str) -> None:
    farm = farm_on(database_url, tmp_path)
    files = (Input("shot.blend", "b" * 64, 1),)
    news = [NewModel("shot", "shot.blend", letter * 64, FACTS, files) for letter in "abcd"]
    models = at_once(*[lambda new=new: farm.repository.models.add(new, actor=ACTOR)[0] for new in news])
    assert sorted(model.version for model in models) == [1, 2, 3, 4]
    close(farm)


def test_sweepers_at_the_same_moment_take_one_lease(tmp_path: Path, database_url: str) -> None:
    farm = farm_on(database_url, tmp_path, FakeClock())  # on a busy machine a lease of a second may be over
    watches = at_once(*[lambda name=name: farm.repository.recovery.acquire_sweep_lease(name) for name in "abcd"])
    assert sum(watch.held for watch in watches) == 1
    close(farm)


@pytest.mark.slow
def test_a_huge_job_is_canceled_and_tried_again_in_batches(farm: Farm) -> None:
    job = given_job(farm, f"1-{2 * BATCH + 7}")
    farm.repository.jobs.cancel(job.id, actor=ACTOR)
    assert farm.repository.tasks.counts(job.id) == TaskCounts(canceled=2 * BATCH + 7)
    again, count = farm.repository.jobs.retry(job.id, actor=ACTOR)
    assert (again.state, count) == (JobState.RUNNING, 2 * BATCH + 7)
    farm.repository.jobs.cancel(job.id, actor=ACTOR)
    assert farm.repository.jobs.retry(job.id, actor=ACTOR, frames=range(3, BATCH + 5))[1] == BATCH + 2
    assert farm.repository.tasks.counts(job.id) == TaskCounts(queued=BATCH + 2, canceled=BATCH + 5)


def test_names_differ_as_their_letters_do(farm: Farm) -> None:
    names = ["shot", "Shot", "shot ", "shöt", "shot 🎬"]
    models = [given_model(farm, name) for name in names]
    assert [model.version for model in models] == [1] * len(names)
    assert [farm.repository.models.find(name).id for name in names] == [model.id for model in models]


def _open(url: str, opened: "multiprocessing.Queue[str]") -> None:
    repository = open_repository(url, now=SystemClock().now, heartbeat_limit_s=1.0)
    opened.put(repository.diagnostics.check())
    repository.close()


@pytest.mark.slow
def test_processes_that_open_an_empty_database_at_once_set_it_up_once(new_database_url: str) -> None:
    spawn = multiprocessing.get_context("spawn")
    opened: multiprocessing.Queue[str] = spawn.Queue()
    processes = [spawn.Process(target=_open, args=(new_database_url, opened)) for _ in range(4)]
    for process in processes:
        process.start()
    assert len({opened.get(timeout=60) for _ in processes}) == 1
    for process in processes:
        process.join(20)
    assert [process.exitcode for process in processes] == [0] * 4


@pytest.mark.slow
def test_who_upgrades_next_finds_the_revision_of_the_one_before(new_database_url: str) -> None:
    engine, revisions = open_engine(new_database_url), list[str | None]()

    def before(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        if "RELEASE_LOCK" in statement:
            revisions.append(current_revision(other))

    other = open_engine(new_database_url)
    event.listen(engine, "before_cursor_execute", before)
    require_current(engine)
    assert current_revision(other) == HEAD
    assert set(revisions) <= {HEAD}
    assert bool(revisions) is (engine.dialect.name != "sqlite")
    for item in (engine, other):
        item.dispose()


def test_who_has_seen_the_database_fail_expires_nobody_for_a_heartbeat_limit(farm: Farm, clock: FakeClock) -> None:
    job = given_job(farm, "1")
    attempt = claimed(farm, job, given_worker(farm))
    farm.repository.attempts.start(attempt)
    sweep(farm, "sweeper")
    for _ in range(4):
        clock.advance(seconds=QUICK.heartbeat_limit / 2)
        swept = sweep(farm, "sweeper", afresh=True)
        assert (swept.held, swept.watched, swept.requeued) == (True, False, 0)
    clock.advance(seconds=QUICK.heartbeat_limit / 2)
    sweep(farm, "sweeper")
    clock.advance(seconds=QUICK.heartbeat_limit / 2)
    assert sweep(farm, "sweeper").requeued == 1


def test_frames_of_a_canceled_job_that_are_rendered_after_all_do_not_make_it_succeed(farm: Farm) -> None:
    job, slot = given_job(farm, "1-3"), given_worker(farm)
    farm.repository.jobs.cancel(job.id, actor=ACTOR)
    _, count = farm.repository.jobs.retry(job.id, actor=ACTOR, frames=[2])
    farm.repository.attempts.complete(attempt := claimed(farm, job, slot), [image(attempt)], Cost())
    assert farm.repository.jobs.finish_if_done(job.id) is JobState.CANCELED
    assert farm.repository.tasks.counts(job.id) == TaskCounts(succeeded=1, canceled=2)
    assert count == 1


def test_a_job_that_is_tried_again_still_waits_for_the_one_before_it(farm: Farm) -> None:
    first = given_job(farm, "1")
    second = given_job(farm, "1-2", after=(first.id,))
    farm.repository.jobs.cancel(second.id, actor=ACTOR)
    farm.repository.jobs.retry(second.id, actor=ACTOR)
    assert farm.repository.tasks.counts(second.id) == TaskCounts(blocked=2)
    farm.repository.attempts.complete(attempt := claimed(farm, first, given_worker(farm)), [image(attempt)], Cost())
    farm.repository.jobs.finish_if_done(first.id)
    assert farm.repository.tasks.counts(second.id) == TaskCounts(queued=2)


class Crowd:
    """Workers and people who do one random legal thing after the other."""

    def __init__(self, farm: Farm, clock: FakeClock, seed: int) -> None:
        self.farm, self.clock = farm, clock
        self.chance = random.Random(seed)
        self.jobs = [given_job(farm, "1-4", max_attempts=2) for _ in range(2)]
        self.jobs.append(given_job(farm, "1-3", after=(self.jobs[0].id,)))
        self.slots = [given_worker(farm, f"w{number}") for number in range(3)]
        self.held: list[Attempt] = []  # what some worker believes that it has, rightly or not
        self.steps = [self.claim, self.claim, self.start, self.complete, self.fail, self.release, self.stop]
        self.steps += [self.beat, self.sweep, self.restart, self.steer, self.settle]

    def step(self) -> None:
        self.chance.choice(self.steps)()

    def claim(self) -> None:
        slot = self.chance.choice(self.slots)
        self.held += self.farm.repository.attempts.claim(
            self.chance.choice(self.jobs).id, slot, limit=self.chance.randint(1, 3)
        ).attempts

    def any_held(self) -> Attempt | None:
        return self.chance.choice(self.held) if self.held else None

    def start(self) -> None:
        if attempt := self.any_held():
            self.farm.repository.attempts.start(attempt)

    def complete(self) -> None:
        if attempt := self.any_held():
            starting = filter(None, [self.any_held()])
            try:
                self.farm.repository.attempts.complete(attempt, [image(attempt)], Cost(1.0), starting=list(starting))
            except AttemptSuperseded:
                self.held.remove(attempt)

    def fail(self) -> None:
        if attempt := self.any_held():
            fault = self.chance.choice(list(Fault))
            self.farm.repository.attempts.fail(
                attempt, Failure(fault, "It went wrong.", whole_job=self.chance.random() < 0.2), Cost()
            )

    def release(self) -> None:
        if attempt := self.any_held():
            self.farm.repository.attempts.release([attempt])

    def stop(self) -> None:
        if attempt := self.any_held():
            self.farm.repository.attempts.cancel(attempt)

    def beat(self) -> None:
        slot = self.chance.choice(self.slots)
        held = {attempt.id: 0.5 for attempt in self.held if attempt.worker_id == slot.worker_id}
        self.farm.repository.workers.heartbeat(Heartbeat(slot.worker_id, slot.incarnation, held))

    def sweep(self) -> None:
        self.clock.advance(seconds=self.chance.uniform(0.0, 1.5 * QUICK.heartbeat_limit))
        sweep(self.farm, "sweeper")

    def restart(self) -> None:
        index = self.chance.randrange(len(self.slots))
        name = self.slots[index].worker_id
        self.slots[index] = given_worker(self.farm, name, start=f"{self.chance.random():.12f}")

    def steer(self) -> None:
        job, repository = self.chance.choice(self.jobs), self.farm.repository
        jobs = repository.jobs
        verbs: list[Callable[..., object]] = [jobs.pause, jobs.resume, jobs.cancel, jobs.retry]
        verb = self.chance.choice(verbs)
        try:
            verb(job.id, actor=ACTOR)
        except IllegalTransition:
            assert repository.jobs.get(job.id).state is not JobState.PAUSED

    def settle(self) -> None:
        self.farm.repository.jobs.finish_if_done(self.chance.choice(self.jobs).id)


def require_consistent(farm: Farm) -> None:
    with farm.repository.database.engine.connect().execution_options(reads=True) as connection:
        all_tasks = connection.execute(select(tasks)).all()
        all_attempts = connection.execute(select(attempts)).all()
        published = connection.execute(select(outputs)).all()
    running = {(row.job_id, row.number): row.attempt_id for row in all_tasks if row.state == TaskState.RUNNING}
    held = {(row.job_id, row.number): row.id for row in all_attempts if row.state in OPEN_ATTEMPT}
    assert running == held, "a task runs as long as one attempt at it does"
    for row in all_attempts:
        assert (row.ended_at is None) == (row.state in OPEN_ATTEMPT), row
    done = {(row.job_id, row.number): row.attempt_id for row in all_tasks if row.state == TaskState.SUCCEEDED}
    by = {(row.job_id, row.number): row.attempt_id for row in published}
    assert len(by) == len(published), "each name once"
    assert done.items() <= by.items(), "what has succeeded is published, by the attempt that did it"
    winners = {row.id for row in all_attempts if row.state == AttemptState.SUCCEEDED}
    assert set(by.values()) <= winners
    for job in (item.job for item in farm.repository.summaries.newest(limit=1000)):
        open_tasks = Counter(row.state for row in all_tasks if row.job_id == job.id)
        if job.state in ENDED_JOB:
            assert not open_tasks[TaskState.QUEUED] + open_tasks[TaskState.BLOCKED], job
            assert job.finished_at is not None
        if job.state is JobState.SUCCEEDED:
            assert set(open_tasks) == {TaskState.SUCCEEDED}, job


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
def test_whatever_workers_and_people_do_in_whatever_order_the_rows_fit_together(
    farm: Farm, clock: FakeClock, seed: int
) -> None:
    crowd = Crowd(farm, clock, seed)
    for _ in range(150):
        crowd.step()
        require_consistent(farm)


@pytest.mark.slow
def test_no_more_slots_than_a_job_allows_get_tasks_of_it_at_the_same_moment(tmp_path: Path, database_url: str) -> None:
    farm = farm_on(database_url, tmp_path)
    model, slots = given_model(farm), [given_worker(farm, f"w{number}") for number in range(3)]
    for _ in range(20):
        job = given_job(farm, "1-20", model=model, max_slots=1)
        first = farm.repository.attempts.claim(job.id, slots[0], serial=1)
        farm.repository.attempts.release(first.attempts)  # between two frames of its turn a slot holds nothing
        claims = at_once(*[lambda slot=slot, job=job: farm.repository.attempts.claim(job.id, slot) for slot in slots])
        assert sum(bool(claim.attempts) for claim in claims) == 1
        for claim in claims:
            farm.repository.attempts.release(claim.attempts)
    close(farm)


@pytest.mark.slow
@pytest.mark.parametrize("end", ["stopped", "failed"])
def test_a_retry_at_the_moment_when_a_frame_is_stopped_leaves_no_frame_behind(
    tmp_path: Path, database_url: str, end: str
) -> None:
    farm = farm_on(database_url, tmp_path)
    model, slot = given_model(farm), given_worker(farm)
    for _ in range(20):
        job = given_job(farm, "1-3", model=model)
        attempt = claimed(farm, job, slot)
        farm.repository.attempts.start(attempt)
        farm.repository.jobs.cancel(job.id, actor=ACTOR)

        def stop(attempt: Attempt = attempt) -> None:
            if end == "stopped":
                farm.repository.attempts.cancel(attempt)
            else:
                farm.repository.attempts.fail(attempt, Failure(Fault.MACHINE, "GPU lost"), Cost())

        at_once(stop, partial(farm.repository.jobs.retry, job.id, actor=ACTOR))
        assert farm.repository.tasks.counts(job.id) == TaskCounts(queued=3)
    close(farm)
