"""Tasks: listed, counted, and moved from one state to another in batches.

A million rows in one transaction would block everybody else. If the process dies half way, the sweep continues.
"""

from collections.abc import Callable, Sequence

from sqlalchemy import Connection, select

from renderctl.core.jobs import Task, TaskCounts
from renderctl.core.states import TaskState
from renderctl.repository.counts import count_tasks
from renderctl.repository.database import Part, db_now, read
from renderctl.repository.database.batches import BatchSize, let_others_write, write_batch
from renderctl.repository.jobs.claim_times import bring_forward, due_at
from renderctl.repository.jobs.job_rows import (
    STOPPED,
    WAITING,
    lock_job_if_present,
    open_dependencies,
)
from renderctl.repository.jobs.task_states import move_first
from renderctl.repository.schema.jobs import job_dependencies, tasks
from renderctl.repository.schema.mappers import (
    to_task,
)


class Tasks(Part):
    """The tasks of jobs."""

    @read
    def of_job(
        self,
        connection: Connection,
        job_id: str,
        *,
        states: Sequence[TaskState] = (),
        after: int = 0,
        limit: int | None = None,
    ) -> list[Task]:
        """Return the tasks of a job by number, from the one after number `after`."""
        query = select(tasks).where(tasks.c.job_id == job_id, tasks.c.number > after)
        query = query.order_by(tasks.c.number).limit(limit)
        if states:
            query = query.where(tasks.c.state.in_(states))
        return [to_task(row) for row in connection.execute(query)]

    @read
    def counts(self, connection: Connection, job_id: str) -> TaskCounts:
        """Return how many tasks of a job are in each state."""
        return count_tasks(connection, job_id)

    @read
    def seconds_to_retry(self, connection: Connection, job_id: str) -> float | None:
        """Return the seconds until a queued task is due; None: one is due now, or none is queued."""
        now = db_now(connection)
        due = due_at(connection, job_id, now)
        return (due - now).total_seconds() if due and due > now else None

    def cancel_waiting(self, job_id: str, *, most: int | None = None) -> int:
        """Cancel the queued and blocked tasks of a canceled or failed job, `most` of each at most; return how many."""

        def stopped(connection: Connection) -> bool:
            job = lock_job_if_present(connection, job_id)
            return job is not None and job.state in STOPPED

        return sum(self._transition_all(job_id, state, TaskState.CANCELED, stopped, most) for state in WAITING)

    def unblock(self, job_id: str) -> int:
        """Queue the blocked tasks of a job whose dependencies have all ended; return how many."""

        def free(connection: Connection) -> bool:
            lock_job_if_present(connection, job_id)  # before its tasks, as all transactions do
            return bool(connection.execute(open_dependencies(job_id)).scalar_one() == 0)

        return self._transition_all(job_id, TaskState.BLOCKED, TaskState.QUEUED, free, None)

    def unblock_dependents(self, job_id: str) -> list[str]:
        """Queue the tasks of the jobs that waited for this one alone; return the ids of those jobs."""
        waiting = select(job_dependencies.c.job_id).where(job_dependencies.c.after_id == job_id)
        waiting_ids = self._database.read(lambda connection: connection.scalars(waiting).all())
        return [job_id for job_id in waiting_ids if self.unblock(job_id)]

    def _transition_all(
        self,
        job_id: str,
        source: TaskState,
        target: TaskState,
        allowed: Callable[[Connection], bool],
        most: int | None,
    ) -> int:
        """Move tasks from one state to another, batch by batch, while `allowed` returns True; return how many."""

        size, flipped, asked = BatchSize(), 0, 0

        def batch(connection: Connection) -> int:
            count = move_first(connection, job_id, asked, source, target) if allowed(connection) else 0
            if count and target is TaskState.QUEUED:
                bring_forward(connection, job_id, db_now(connection))
            return count

        while most is None or flipped < most:
            asked = size.rows if most is None else min(size.rows, most - flipped)
            count = write_batch(self._database, size, batch)
            flipped += count
            if count < asked:
                break
            let_others_write(self._database, size)
        return flipped
