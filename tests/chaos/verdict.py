"""What must be true of a farm after a round, whatever happened in it."""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import redis
from sqlalchemy import func, select

from renderctl.core.actors import local_actor
from renderctl.core.errors import Unreachable
from renderctl.core.states import ENDED_JOB, OPEN_ATTEMPT, AttemptState, JobState, TaskState, WorkerState
from renderctl.decoder.pixels import verify
from renderctl.farm import Farm
from renderctl.farm.jobs.attempt_logs import kept_log
from renderctl.farm.jobs.download import download
from renderctl.repository.leases import SWEEP
from renderctl.repository.schema.counts import job_counts
from renderctl.repository.schema.jobs import attempts, jobs, leases, outputs, tasks
from renderctl.wiring import LocalCommands
from tests.chaos.site import ServedSite, Servers
from tests.nodes import CLOCK, HEARTBEAT_S, LIMIT_S, Site, until

SIDE = 64
#: How an attempt may end other than well, and then it says why.
_EXPLAINED = {AttemptState.FAILED, AttemptState.LOST, AttemptState.CANCELED, AttemptState.RELEASED}


def connected(site: Site) -> LocalCommands:
    return LocalCommands(site.settings, local_actor("chaos"))


def rows(farm: Farm, table: Any, job_id: str) -> list[Any]:
    query = select(table).where(table.c.job_id == job_id)
    return list(farm.repository.database.read(lambda connection: connection.execute(query).all()))


def require_whole(farm: Farm, job_id: str, folder: Path, side: int = SIDE) -> Counter[str]:
    """Every frame rendered, published once, whole, and explained. Returns how many attempts ended how."""
    job = farm.repository.jobs.get(job_id)
    assert job.state is JobState.SUCCEEDED, job
    frames = {row.number: row.frame for row in rows(farm, tasks, job_id)}
    assert {row.state for row in rows(farm, tasks, job_id)} == {TaskState.SUCCEEDED}
    tried = rows(farm, attempts, job_id)
    require_explained(tried)
    _require_counted(rows(farm, tasks, job_id), tried)
    _require_published_once(farm, job_id, frames, tried, side)
    require_right_counts(farm)
    fetched = download(farm, local_actor("chaos"), job_id, folder)
    assert fetched.files == len(frames)
    for number in frames.values():
        verify(fetched.folder / f"{number:04d}.png", width=side, height=side)
    return Counter(row.state for row in tried)


def counted(ends: Mapping[str, int]) -> Counter[str]:
    """How many attempts ended how, in words."""
    return Counter({f"attempts {state}": count for state, count in ends.items()})


def require_right_counts(farm: Farm) -> None:
    """What is counted of the jobs is what their rows come to, and nothing is counted of jobs that are gone."""
    assert farm.repository.count_checks.find_wrong() == []
    gone = select(job_counts.c.job_id).where(job_counts.c.job_id.not_in(select(jobs.c.id)))
    assert farm.repository.database.read(lambda connection: connection.scalars(gone).all()) == []


def require_explained(tried: Sequence[Any]) -> None:
    """Every attempt has ended, and says why if it did not end well."""
    for row in tried:
        assert row.state not in OPEN_ATTEMPT, row
        assert row.ended_at is not None, row
        assert bool(row.error) == (row.state in _EXPLAINED), row
        assert bool(row.fault) == (row.state == AttemptState.FAILED), row


def _require_counted(all_tasks: list[Any], tried: list[Any]) -> None:
    """Every attempt that a task was charged for is one that was lost or has failed."""
    charged = Counter(row.number for row in tried if row.state in (AttemptState.LOST, AttemptState.FAILED))
    assert {row.number: row.attempts for row in all_tasks} == {row.number: charged[row.number] for row in all_tasks}


def _require_published_once(farm: Farm, job_id: str, frames: dict[int, int], tried: list[Any], side: int) -> None:
    """One output row a frame, of the one attempt that succeeded, and its blob is what it says."""
    published = rows(farm, outputs, job_id)
    winners = {row.number: row.id for row in tried if row.state == AttemptState.SUCCEEDED}
    assert Counter(row.state for row in tried)[AttemptState.SUCCEEDED] == len(frames)
    assert sorted((row.number, row.name) for row in published) == [
        (number, f"{frame:04d}.png") for number, frame in sorted(frames.items())
    ]
    attempts_of = {attempt.id: attempt for attempt in farm.repository.attempts.of_job(job_id)}
    for row in published:
        assert winners[row.number] == row.attempt_id, row
        assert (row.width, row.height) == (side, side)
        assert (_size_of_whole(farm, row.digest), any(kept_log(farm, attempts_of[row.attempt_id]))) == (
            row.size,
            True,
        ), row


def require_whole_blobs(farm: Farm) -> int:
    """No blob is half written, whether a result of it came to be or not. Returns how many there are."""
    return len(whole_blobs(farm))


def whole_blobs(farm: Farm) -> Mapping[str, int]:
    """The sizes of all blobs, of which none is half written."""
    sizes = {blob.digest: blob.size for blob in farm.store.blobs()}
    assert {digest: _size_of_whole(farm, digest) for digest in sizes} == sizes
    return sizes


def _size_of_whole(farm: Farm, digest: str) -> int:
    """The size of a blob whose bytes are what its name says."""
    blob = farm.settings.data_dir / "chaos-blob"
    farm.store.get(digest, blob)
    content = blob.read_bytes()
    assert hashlib.sha256(content).hexdigest() == digest
    return len(content)


def require_cleared(site: Site) -> None:
    """No Blender outlives its worker, and the next start clears away what the dead have left."""
    until(lambda: not site.blenders(), 10 * LIMIT_S, what=f"the end of {site.blenders()}")
    site.clear()
    assert site.scratches() == []


def _has_no_tickets(site: ServedSite, servers: Servers) -> bool:
    """A ticket that a worker has refused comes back after its delay: the next worker takes it."""
    if not any(queue["messages"] for queue in site.queues(servers.broker)):
        return True
    site.clear()
    return False


def require_no_litter(farm: Farm, site: ServedSite, servers: Servers) -> None:
    """What the round has left on the services goes away by itself, and holds nobody up."""
    until(lambda: _has_no_tickets(site, servers), 120, what="queues without tickets")
    sweeper = select(leases).where(leases.c.name == SWEEP)
    assert farm.repository.database.read(lambda connection: connection.execute(sweeper).all()) == []
    assert {worker.state for worker in farm.repository.workers.all(include_gone=True)} == {WorkerState.GONE}
    for queue in site.queues(servers.broker):
        assert queue["name"] == "renderctl.default" or "x-expires" in queue["arguments"], queue
        assert queue["name"] != "renderctl.default" or queue["messages"] == 0, queue
    with redis.Redis.from_url(site.places.cache.url or "") as cache:
        assert [key for key in cache.scan_iter() if cache.ttl(key) == -1] == []


#: What Python says of a Ctrl-C in its first hundredths of a second, before a line of ours runs.
_PYTHONS_OWN = re.compile(r"Fatal Python error: init_import_site.*?^KeyboardInterrupt$", re.DOTALL | re.MULTILINE)


def require_quiet(site: Site) -> None:
    """Nothing happened to a process that it does not know how to name."""
    for node in site.nodes:
        said = _PYTHONS_OWN.sub("", node.log.read_text())
        assert "Traceback" not in said, said[-5000:]


def wait_for_end(farm: Farm, job_id: str, within_s: float, meanwhile: Callable[[], None] = lambda: None) -> None:
    """Wait until the job has ended and nothing of it runs; a database that is away is asked again."""
    give_up = CLOCK.monotonic() + within_s
    while not _has_ended(farm, job_id):
        assert CLOCK.monotonic() < give_up, (
            f"{farm.repository.tasks.counts(job_id)} after {within_s:g} s: {_last(farm, job_id)}"
        )
        meanwhile()
        CLOCK.wait(None, HEARTBEAT_S / 2)


def count_frames(farm: Farm) -> int:
    """How many outputs there are, of all jobs."""
    query = select(func.count()).select_from(outputs)
    return farm.repository.database.read(lambda connection: connection.scalar(query)) or 0


def unfinished(farm: Farm) -> list[Any]:
    """Jobs that have a frame to render, or one that is being rendered; what waits for another job is not counted."""
    claimable = tasks.c.state.in_((TaskState.QUEUED, TaskState.RUNNING))
    open_tasks = select(tasks.c.number).where(tasks.c.job_id == jobs.c.id, claimable).exists()
    open_attempts = select(attempts.c.id).where(attempts.c.job_id == jobs.c.id, attempts.c.state.in_(OPEN_ATTEMPT))
    query = select(jobs.c.id, jobs.c.state).where(jobs.c.removed_at.is_(None), open_tasks | open_attempts.exists())
    return list(farm.repository.database.read(lambda connection: connection.execute(query).all()))


def _has_ended(farm: Farm, job_id: str) -> bool:
    try:
        return farm.repository.jobs.get(job_id).state in ENDED_JOB and not farm.repository.tasks.counts(job_id).running
    except Unreachable:
        return False


def _last(farm: Farm, job_id: str) -> list[Any]:
    return sorted(rows(farm, attempts, job_id), key=lambda row: row.claimed_at)[-8:]
