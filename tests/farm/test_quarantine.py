"""Who is to blame when frames fail: the worker that fails what others render, or the job that fails everywhere."""

import pytest

from renderctl.core.attempts import Claimant, Cost
from renderctl.core.jobs import Attempt, Failure, Fault, Job, Output
from renderctl.core.states import JobState, WorkerState
from renderctl.core.workers import Heartbeat, Worker
from renderctl.farm import Farm
from renderctl.farm.admin.sweep import sweep
from renderctl.farm.jobs.control import retry
from tests.fakes import FakeClock
from tests.farms import ACTOR, given_job, given_model, given_worker


@pytest.fixture
def farm(quiet: Farm) -> Farm:
    return quiet


#: Of each job: enough for a worker to fail often in a row.
FRAMES = 8


class Floor:
    """Workers at work on one farm, some of them bad."""

    def __init__(self, farm: Farm, clock: FakeClock, *names: str, bad: tuple[str, ...] = ()) -> None:
        self.farm, self.clock, self.bad = farm, clock, bad
        self.slots = {name: given_worker(farm, name) for name in names}
        self.fault = Fault.MACHINE

    def turn(self, *jobs: Job) -> int:
        """Each worker renders one frame of each job, if it gets one; how many did."""
        self.clock.advance(seconds=200.0)
        for name in self.slots:
            self.farm.repository.workers.heartbeat(Heartbeat(name, "1"))
        return sum(self.work(slot, job) for job in jobs for slot in self.slots.values())

    def work(self, slot: Claimant, job: Job) -> bool:
        for attempt in self.farm.repository.attempts.claim(job.id, slot).attempts:
            self.farm.repository.attempts.start(attempt)
            if slot.worker_id in self.bad:
                self.farm.repository.attempts.fail(attempt, Failure(self.fault, "The GPU is gone."), Cost())
            else:
                self.farm.repository.attempts.complete(attempt, [_image(attempt)], Cost(1.0))
            return True
        return False

    def finish(self, *jobs: Job) -> None:
        """Work until nothing is left to do."""
        while self.turn(*jobs):
            pass
        sweep(self.farm, "test")

    def worker(self, name: str) -> Worker:
        return next(each for each in self.farm.repository.workers.all() if each.id == name)

    @property
    def quarantined(self) -> list[str]:
        return [each.id for each in self.farm.repository.workers.all() if each.state is WorkerState.QUARANTINED]

    def failures(self, name: str, job: Job) -> int:
        return sum(
            each.worker_id == name and each.error is not None for each in self.farm.repository.attempts.of_job(job.id)
        )


def _image(attempt: Attempt) -> Output:
    return Output(f"{attempt.frame:04d}.png", "a" * 64, 1, 4, 4, attempt.frame, None, attempt.number)


def succeeded(farm: Farm, *jobs: Job) -> bool:
    return all(farm.repository.tasks.counts(job.id).succeeded == FRAMES for job in jobs)


def given_jobs(farm: Farm, count: int, max_attempts: int = 3) -> list[Job]:
    model = given_model(farm)
    return [given_job(farm, f"1-{FRAMES}", model=model, max_attempts=max_attempts) for _ in range(count)]


def test_a_worker_that_fails_three_frames_of_a_job_in_a_row_gets_no_more_of_them(farm: Farm, clock: FakeClock) -> None:
    (job,) = given_jobs(farm, 1)
    floor = Floor(farm, clock, "good", "bad", bad=("bad",))
    floor.finish(job)
    assert floor.failures("bad", job) == 3
    assert succeeded(farm, job)
    assert floor.quarantined == []


@pytest.mark.slow
def test_a_worker_that_fails_what_others_render_in_two_jobs_is_quarantined_and_says_why(
    farm: Farm, clock: FakeClock
) -> None:
    jobs = given_jobs(farm, 3)
    floor = Floor(farm, clock, "good", "bad", bad=("bad",))
    floor.finish(*jobs[:2])
    assert floor.quarantined == ["bad"]
    reason = floor.worker("bad").reason or ""
    assert "frames of 2 jobs failed here and succeeded elsewhere" in reason
    assert jobs[0].id in reason
    assert "The GPU is gone." in reason
    floor.finish(jobs[2])
    assert floor.failures("bad", jobs[2]) == 0
    assert succeeded(farm, *jobs)
    (entry,) = (each for each in farm.repository.audit.newest(subject="bad") if each.action == "worker.quarantine")
    assert (entry.kind, entry.details["reason"]) == ("farm", reason)


@pytest.mark.slow
def test_quarantine_outlasts_a_restart_and_ends_with_a_clean_record_when_somebody_resumes_the_worker(
    farm: Farm, clock: FakeClock
) -> None:
    jobs = given_jobs(farm, 3)
    floor = Floor(farm, clock, "good", "bad", bad=("bad",))
    floor.finish(*jobs[:2])
    farm.repository.workers.deregister("bad", "1", actor=ACTOR)
    floor.slots["bad"] = given_worker(farm, "bad", start="1")
    assert floor.quarantined == ["bad"]
    floor.bad = ()
    resumed = farm.repository.workers.drain("bad", actor=ACTOR, resume=True)
    assert (resumed.state, resumed.reason) == (WorkerState.ACTIVE, None)
    sweep(farm, "test")
    assert floor.quarantined == []
    assert floor.work(floor.slots["bad"], jobs[2])


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2, 5])
def test_jobs_that_fail_on_every_worker_fail_and_quarantine_nobody(farm: Farm, clock: FakeClock, workers: int) -> None:
    jobs = given_jobs(farm, 3)
    names = [f"w{number}" for number in range(workers)]
    floor = Floor(farm, clock, *names, bad=tuple(names))
    floor.finish(*jobs)
    assert floor.quarantined == []
    assert [farm.repository.jobs.get(job.id).state for job in jobs] == [JobState.FAILED] * 3


def test_one_heavy_job_that_only_the_largest_node_can_render_quarantines_no_other(farm: Farm, clock: FakeClock) -> None:
    heavy, light = given_jobs(farm, 2)
    floor = Floor(farm, clock, "large", "small-1", "small-2", bad=("small-1", "small-2"))
    floor.finish(heavy)
    floor.bad = ()
    floor.finish(light)
    assert floor.quarantined == []
    assert succeeded(farm, heavy, light)


@pytest.mark.slow
def test_a_worker_that_succeeds_at_other_jobs_meanwhile_is_not_quarantined(farm: Farm, clock: FakeClock) -> None:
    first, second, other = given_jobs(farm, 3)
    floor = Floor(farm, clock, "good", "small", bad=("small",))
    while floor.turn(first, second):
        floor.bad = ()
        floor.turn(other)
        floor.bad = ("small",)
    sweep(farm, "test")
    assert floor.failures("small", first) == floor.failures("small", second) == 3
    assert floor.quarantined == []


def flicker(floor: Floor, jobs: list[Job], meanwhile: list[Job]) -> None:
    """The worker `flaky` fails four of five frames of each job, the last three in a row; and none of the others."""
    for fails in (True, False, True, True, True):
        floor.bad = ("flaky",) if fails else ()
        floor.turn(*jobs)
        floor.bad = ()
        floor.turn(*meanwhile)
    floor.finish(*jobs)


def test_a_worker_that_fails_jobs_as_often_as_it_succeeds_is_quarantined_although_it_can_render_them(
    farm: Farm, clock: FakeClock
) -> None:
    first, second, other = given_jobs(farm, 3)
    floor = Floor(farm, clock, "good", "flaky")
    flicker(floor, [first, second], [other])
    assert floor.failures("flaky", first) == floor.failures("flaky", second) == 4
    assert floor.quarantined == ["flaky"]
    assert succeeded(farm, first, second)


@pytest.mark.slow
def test_a_worker_that_fails_now_and_then_and_succeeds_more_often_is_not_quarantined(
    farm: Farm, clock: FakeClock
) -> None:
    first, second, *others = given_jobs(farm, 4)
    floor = Floor(farm, clock, "good", "flaky")
    flicker(floor, [first, second], others)
    assert floor.failures("flaky", first) == floor.failures("flaky", second) == 4
    assert floor.quarantined == []


@pytest.mark.slow
def test_an_outage_of_the_store_is_held_against_nobody(farm: Farm, clock: FakeClock) -> None:
    jobs = given_jobs(farm, 3)
    floor = Floor(farm, clock, "w1", "w2", bad=("w1", "w2"))
    floor.fault = Fault.FARM
    floor.turn(*jobs)
    floor.turn(*jobs)
    floor.bad = ()
    floor.finish(*jobs)
    assert floor.quarantined == []
    assert succeeded(farm, *jobs)


@pytest.mark.slow
def test_at_most_half_of_the_workers_are_quarantined(farm: Farm, clock: FakeClock) -> None:
    jobs = given_jobs(farm, 2, max_attempts=10)
    floor = Floor(farm, clock, "good", "bad-1", "bad-2", "bad-3", bad=("bad-1", "bad-2", "bad-3"))
    floor.finish(*jobs)
    assert len(floor.quarantined) == 2
    assert succeeded(farm, *jobs)


def test_a_job_that_is_retried_gives_every_worker_another_chance(farm: Farm, clock: FakeClock) -> None:
    (job,) = given_jobs(farm, 1)
    floor = Floor(farm, clock, "good", "bad", bad=("bad",))
    floor.finish(job)
    retry(farm, ACTOR, job.id, f"1-{FRAMES}")
    floor.bad = ()
    assert floor.work(floor.slots["bad"], job)
