"""Many tasks of a job at once, in batches: a million rows in one transaction would keep everybody else waiting."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Select, and_, func, or_, select

from renderctl.core.errors import NotFound
from renderctl.core.jobs import Job
from renderctl.core.states import ENDED_JOB, OPEN_TASK, JobState, TaskState
from renderctl.repository.attempts.claim_times import bring_forward
from renderctl.repository.jobs.batches import Batching, BatchSize
from renderctl.repository.jobs.task_states import move_first
from renderctl.repository.schema.jobs import by_state, job_dependencies, jobs, tasks
from renderctl.repository.schema.mapping import to_job

#: Jobs of which nothing is to be rendered any more, whatever is still running.
STOPPED = (JobState.CANCELED, JobState.FAILED)
#: What waits, and never starts once its job is stopped.
IDLE = (TaskState.QUEUED, TaskState.BLOCKED)
#: Whether the job has a task that is open: state by state, for an index serves one value and then the next.
HAS_WORK = or_(
    *(by_state.where(tasks.c.job_id == jobs.c.id, tasks.c.state == state).exists() for state in sorted(OPEN_TASK))
)


class Flipping(Batching):
    """Steps of many tasks. Killed half way through, the sweep goes on with them."""

    def cancel_idle(self, job_id: str, *, most: int | None = None) -> int:
        """Cancel what waits in a job that was stopped; how many. Nobody claims it meanwhile, for the job has ended."""

        def stopped(connection: Connection) -> bool:
            job = locked_or_none(connection, job_id)
            return job is not None and job.state in STOPPED

        return sum(self._flip(job_id, state, TaskState.CANCELED, stopped, most) for state in IDLE)

    def unblock(self, job_id: str) -> int:
        """Queue the tasks of a job that waits for no other one any more; how many."""

        def free(connection: Connection) -> bool:
            locked_or_none(connection, job_id)  # before its tasks, as everybody does
            return bool(connection.execute(open_dependencies(job_id)).scalar_one() == 0)

        return self._flip(job_id, TaskState.BLOCKED, TaskState.QUEUED, free, None)

    def unblock_after(self, done_id: str) -> list[str]:
        """Queue the tasks of the jobs that waited for this one alone; the ids of those jobs."""
        waiting = select(job_dependencies.c.job_id).where(job_dependencies.c.after_id == done_id)
        found = self.read(lambda connection: connection.scalars(waiting).all())
        return [job_id for job_id in found if self.unblock(job_id)]

    def _flip(
        self,
        job_id: str,
        source: TaskState,
        target: TaskState,
        allowed: Callable[[Connection], bool],
        most: int | None,
    ) -> int:
        """Take tasks from one state to another, for as long as that is `allowed`; how many."""

        size, flipped, asked = BatchSize(), 0, 0

        def batch(connection: Connection) -> int:
            count = move_first(connection, job_id, asked, source, target) if allowed(connection) else 0
            if count and target is TaskState.QUEUED:
                bring_forward(connection, job_id, self.now(connection))
            return count

        while most is None or flipped < most:
            asked = size.rows if most is None else min(size.rows, most - flipped)
            count = self.write_batch(size, batch)
            flipped += count
            if count < asked:
                break
            self.give_way(size)
        return flipped


def locked(connection: Connection, job_id: str) -> Job:
    """The job, which nobody else changes before this transaction ends. Raises NotFound."""
    job = locked_or_none(connection, job_id)
    if job is None:
        raise NotFound(f"There is no job {job_id!r}.")
    return job


def locked_or_none(connection: Connection, job_id: str) -> Job | None:
    row = connection.execute(select(jobs).where(jobs.c.id == job_id).with_for_update()).first()
    return to_job(row) if row is not None and row.removed_at is None else None


#: Whether a job (joined as `jobs`) is no longer waited for: it has ended as it was to, or was removed.
OVER = or_(
    jobs.c.state == JobState.SUCCEEDED,
    and_(job_dependencies.c.any_end, jobs.c.state.in_(sorted(ENDED_JOB))),
    jobs.c.removed_at.is_not(None),
)


def open_dependencies(job_id: str) -> Select[Any]:
    """How many of the jobs that have to end first have not, or not as they were to."""
    return (
        select(func.count())
        .select_from(job_dependencies.join(jobs, jobs.c.id == job_dependencies.c.after_id))
        .where(job_dependencies.c.job_id == job_id, ~OVER)
    )
