"""What workers, sweeps, watches, pages, metrics, the garbage collection and retention do again and again."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from renderctl.core.attempts import Claimant, Cost
from renderctl.core.jobs import Failure, Fault, Output
from renderctl.core.permissions import ALL
from renderctl.core.states import ENDED_JOB, JobState, TaskState
from renderctl.core.workers import Heartbeat
from renderctl.farm import Farm
from renderctl.farm.admin.sweep import finish_job_if_done, sweep
from renderctl.farm.change_feed import ChangeFeed
from renderctl.farm.jobs.log_follower import LogFollower
from renderctl.farm.jobs.logs import logs
from renderctl.farm.jobs.outputs import outputs
from renderctl.farm.jobs.status import jobs, status
from renderctl.farm.jobs.tasks import attempts, task_status, tasks
from tests.big_tables import BLOCKED, FAILED, HUGE, QUEUED, RUNNING, SUCCEEDED
from tests.farms import ACTOR, NODE

Action = tuple[str, Callable[[], object]]
_HUGE, _RUNNING, _QUEUED, _BLOCKED = (kind.job_id(1) for kind in (HUGE, RUNNING, QUEUED, BLOCKED))
_SLOT = Claimant("w7", "1", 0, ("default",), NODE)


def actions(farm: Farm) -> Iterator[Action]:
    """Each with its name. They go by the tables as `tests.big_tables` fills them, and change little."""
    yield from _of_workers(farm)
    yield from _of_sweeps(farm)
    yield from _of_watches(farm)
    yield from _of_pages(farm)
    yield from _of_collections(farm)
    yield from _of_people(farm)


def _of_workers(farm: Farm) -> Iterator[Action]:
    repository = farm.repository
    held = repository.attempts.running(_RUNNING)[0]
    yield "heartbeat", lambda: repository.workers.heartbeat(Heartbeat(held.worker_id, "1", {held.id: 0.6}))
    yield "jobs for an idle slot", lambda: repository.attempts.claimable_jobs(_SLOT)
    other_pool = replace(_SLOT, pools=("other",))
    yield "jobs for an idle slot of a pool without any", lambda: repository.attempts.claimable_jobs(other_pool)
    yield (
        "claim with a ticket",
        lambda: repository.attempts.claim(_HUGE, _SLOT, serial=repository.jobs.get(_HUGE).serial),
    )
    yield "claim of a job that waits", lambda: repository.attempts.claim(_BLOCKED, _SLOT)
    for job_id in (_HUGE, _RUNNING):
        first, second, *ahead = repository.attempts.claim(job_id, _SLOT, limit=50).attempts
        yield "claim", partial(repository.attempts.claim, job_id, _SLOT)
        yield "start", partial(repository.attempts.start, first)
        output = Output("1.png", "a" * 64, 1)
        yield "complete", partial(repository.attempts.complete, first, [output], Cost(1.0))
        broken = Failure(Fault.MACHINE, "It broke.")
        yield "fail", partial(repository.attempts.fail, second, broken, Cost(1.0))
        yield "give back", partial(repository.attempts.release, ahead[:2])
        yield "end of a job", partial(finish_job_if_done, farm, job_id)


def _of_sweeps(farm: Farm) -> Iterator[Action]:
    repository = farm.repository
    yield "sweep", lambda: sweep(farm, "sweeper")
    yield "expire", repository.recovery.expire_silent
    yield "retention", lambda: repository.jobs.older_than(dict.fromkeys(ENDED_JOB, 0.01))
    yield "retention of workers", lambda: repository.workers.delete_unseen(30.0)
    yield "quarantine", repository.workers.quarantine


def _of_watches(farm: Farm) -> Iterator[Action]:
    changes, follower = ChangeFeed(farm), LogFollower(farm, _HUGE)
    task_follower = LogFollower(farm, _HUGE, 7)
    for _ in range(2):
        yield "server events", changes.look
        yield "server events of one job", lambda: changes.look([_HUGE])
        yield "logs -f", follower.news
        yield "logs -f of a task", task_follower.news
    yield "logs", lambda: list(logs(farm, ACTOR, _HUGE))
    yield "metrics", farm.repository.metrics.measure
    mark = farm.repository.metrics.since(None).cursor
    yield "metrics since", lambda: farm.repository.metrics.since(mark)
    yield "webhooks", farm.repository.deliveries.due_webhooks


def _of_pages(farm: Farm) -> Iterator[Action]:
    repository = farm.repository
    yield "jobs", lambda: jobs(farm, ACTOR)
    yield "jobs by state", lambda: jobs(farm, ACTOR, [JobState.RUNNING], search="big")
    for job_id in (_HUGE, _RUNNING, _QUEUED, _BLOCKED, SUCCEEDED.job_id(1), FAILED.job_id(1)):
        yield "status", partial(status, farm, ACTOR, job_id, cached=False)
    yield "tasks", lambda: tasks(farm, ACTOR, _HUGE)
    yield "tasks by state", lambda: tasks(farm, ACTOR, _HUGE, [TaskState.RUNNING])
    yield "task", lambda: task_status(farm, ACTOR, f"{_HUGE}-7")
    first_attempts = repository.attempts.of_job(_HUGE, limit=500)
    for after in ("", first_attempts[-1].id):
        yield "attempts", partial(attempts, farm, ACTOR, _HUGE, after=after)
    yield "attempts at some tasks", lambda: attempts(farm, ACTOR, _HUGE, tasks_between=(501, 1000))
    for place in (0, repository.change_feed.newest_output_number() - 100_000):
        yield "outputs", partial(outputs, farm, ACTOR, _HUGE, after=place)
    yield "latest outputs", lambda: repository.outputs.latest(_HUGE, 12)
    yield "seconds to a retry", lambda: repository.tasks.seconds_to_retry(_HUGE)
    yield "workers", repository.workers.all
    yield "work at hand", lambda: repository.workers.current_work(ALL)


def _of_collections(farm: Farm) -> Iterator[Action]:
    repository = farm.repository
    digests = repository.gc.digests(after="5", limit=1000)
    yield "gc: digests", lambda: repository.gc.digests(after="5", limit=1000)
    yield "gc: pointers", lambda: repository.gc.pointers(digests[:50])
    yield "gc: a batch", lambda: repository.gc.collect(["e" * 64], lambda _digests: None, limit_s=1.0)
    yield "gc: logs", lambda: repository.gc.unknown_logs(["a" * 20])
    yield "gc: leases", repository.gc.tidy_leases


def _of_people(farm: Farm) -> Iterator[Action]:
    repository, job_id, ended = farm.repository, RUNNING.job_id(2), SUCCEEDED.job_id(2)
    yield "pause", lambda: repository.jobs.pause(job_id, actor=ACTOR)
    yield "resume", lambda: repository.jobs.resume(job_id, actor=ACTOR)
    yield "cancel", lambda: repository.jobs.cancel(job_id, actor=ACTOR)
    yield "retry", lambda: repository.jobs.retry(job_id, actor=ACTOR)
    yield "remove", lambda: repository.jobs.remove(ended, actor=ACTOR)
    yield "delete what was removed", repository.recovery.delete_removed_batch
