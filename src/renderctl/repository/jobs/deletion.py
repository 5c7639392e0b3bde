"""Ended jobs are removed: out of sight at once, in one transaction; their rows follow in small ones."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, exists, func, or_, select

from renderctl.core.actors import Actor
from renderctl.core.errors import Conflict, IllegalTransition
from renderctl.core.permissions import ALL, Visibility
from renderctl.core.states import ENDED_JOB, OPEN_ATTEMPT, OPEN_JOB, PRESENT_WORKER_STATES, JobState, TaskState
from renderctl.repository.jobs.bulk import Flipping, locked
from renderctl.repository.jobs.counts import delete_counts, read_counts
from renderctl.repository.jobs.submission import abandoned
from renderctl.repository.jobs.task_states import delete_tasks
from renderctl.repository.people.quotas import free_uploads
from renderctl.repository.schema.jobs import (
    attempts,
    by_state,
    job_dependencies,
    job_exclusions,
    job_inputs,
    jobs,
    leases,
    outputs,
    tasks,
    worker_pools,
    workers,
)
from renderctl.repository.visibility import visible

#: Tasks that are deleted in one transaction, with their attempts and outputs: claims wait no longer than for that.
_BATCH = 1000


@dataclass(frozen=True)
class Removed:
    """A job that is out of sight."""

    job_id: str
    name: str
    tasks: int
    outputs: int
    output_bytes: int  #: what `gc` frees of the store, unless other jobs have rendered the same
    freed: tuple[str, ...] = ()  #: jobs that no longer wait


class Removing(Flipping):
    """The end of jobs, and of what was noted long ago."""

    def remove_job(self, job_id: str, *, actor: Actor, dry_run: bool = False) -> Removed:
        """Take an ended job out of sight; `erase_some` deletes its rows. With `dry_run`, say what would go.

        Raises IllegalTransition while it is open or being rendered, Conflict while another job waits for it.
        """

        def writing(connection: Connection) -> Removed:
            job = locked(connection, job_id)
            if job.state in OPEN_JOB:
                raise IllegalTransition(f"Job {job_id} is {job.state}.", hint="--force cancels it first.")
            self._require_idle(connection, job_id)
            removed = self._measured(connection, job_id, job.name)
            if dry_run:
                return removed
            self._let_go(connection, job_id, job.state)
            brought = select(job_inputs.c.digest).where(job_inputs.c.job_id == job_id)
            free_uploads(connection, job.owner, connection.scalars(brought).all())
            hidden = {"removed_at": self.now(connection), "idempotency_key": None, "bound_to": None}
            connection.execute(jobs.update().where(jobs.c.id == job_id).values(hidden))
            told = {"name": job.name, "tasks": removed.tasks, "outputs": removed.outputs}
            self.audit(connection, actor, "job.remove", job_id, **told, output_bytes=removed.output_bytes)
            return removed

        freed = () if dry_run else tuple(self.unblock_after(job_id))  # where the end of the job was not that far yet
        removed = self.deed(writing, done=lambda _connection, audit: Removed(job_id, **audit.details))
        return replace(removed, freed=freed)

    def held_by(self, job_id: str) -> list[str]:
        """The workers that still render something of the job."""
        query = select(attempts.c.worker_id).where(attempts.c.job_id == job_id, attempts.c.state.in_(OPEN_ATTEMPT))
        return self.read(lambda connection: list(connection.scalars(query.distinct())))

    def erase_some(self) -> bool:
        """Delete some rows of jobs that were removed; whether there may be more."""
        return self.write(lambda connection: _erase_some(connection, self.now(connection)))

    def jobs_older_than(
        self, days: Mapping[JobState, float], *, limit: int = 1000, sight: Visibility = ALL
    ) -> list[str]:
        """Jobs that ended in such a state longer ago than so many days, the oldest first."""

        def reading(connection: Connection) -> list[str]:
            now = self.now(connection)
            old = [
                (jobs.c.state == state) & (jobs.c.finished_at < now - timedelta(days=age))
                for state, age in days.items()
            ]
            query = (
                select(jobs.c.id)
                .where(or_(*old), jobs.c.removed_at.is_(None), *visible(jobs, sight))
                .order_by(jobs.c.id)
            )
            return list(connection.scalars(query.limit(limit)))

        return self.read(reading) if days else []

    def take_turn(self, name: str, every_s: float) -> bool:
        """Whether it is time for what is done once in `every_s` seconds by whoever holds the sweep's lease."""

        def too_early(until: datetime | None, now: datetime) -> bool:
            return until is not None and now < until <= now + timedelta(
                seconds=every_s
            )  # later: the clock was set back

        def early(connection: Connection) -> bool:
            return too_early(
                connection.scalar(select(leases.c.until).where(leases.c.name == name)), self.now(connection)
            )

        def writing(connection: Connection) -> bool:
            now = self.now(connection)
            row = connection.execute(select(leases).where(leases.c.name == name).with_for_update()).first()
            if row is not None and too_early(row.until, now):
                return False
            connection.execute(leases.delete().where(leases.c.name == name))
            row_of_now = {"name": name, "holder": name, "since": now, "until": now + timedelta(seconds=every_s)}
            connection.execute(leases.insert(), row_of_now)
            return True

        return not self.read(early) and self.write(writing)

    def forget_workers(self, days: float) -> int:
        """Delete workers that nobody has seen for so many days, as many as go in a moment.

        One that holds an attempt stays, and one that is drained or quarantined: it would come back without that. What
        it has done stays under its name.
        """

        def writing(connection: Connection) -> int:
            unseen = workers.c.seen_at < self.now(connection) - timedelta(days=days)
            holds = exists().where(attempts.c.worker_id == workers.c.id, attempts.c.state.in_(OPEN_ATTEMPT))
            absent = workers.c.state.not_in(PRESENT_WORKER_STATES) & workers.c.held.is_(None)
            query = select(workers.c.id).where(unseen, absent, ~holds).order_by(workers.c.id).limit(_BATCH)
            ids = list(connection.scalars(query.with_for_update(of=workers, skip_locked=True)))
            for column in (worker_pools.c.worker_id, job_exclusions.c.worker_id, workers.c.id):
                connection.execute(column.table.delete().where(column.in_(ids)))
            return len(ids)

        return self.write(writing)

    def _require_idle(self, connection: Connection, job_id: str) -> None:
        held = select(attempts.c.worker_id).where(attempts.c.job_id == job_id, attempts.c.state.in_(OPEN_ATTEMPT))
        if worker := connection.scalar(held.limit(1)):
            raise IllegalTransition(f"Worker {worker} still renders a frame of job {job_id}.", hint="Try again soon.")

    def _measured(self, connection: Connection, job_id: str, name: str) -> Removed:
        counts = read_counts(connection, [job_id])[job_id]
        return Removed(job_id, name, counts.tasks.total, counts.outputs, counts.output_bytes)

    def _let_go(self, connection: Connection, job_id: str, state: JobState) -> None:
        """No job waits for it any more."""
        waiting = select(jobs.c.id, jobs.c.state, jobs.c.notes, job_dependencies.c.any_end).join(
            job_dependencies, job_dependencies.c.job_id == jobs.c.id
        )
        rows = connection.execute(waiting.where(job_dependencies.c.after_id == job_id)).all()
        if state is not JobState.SUCCEEDED:
            if waits := [row.id for row in rows if row.state not in ENDED_JOB and not row.any_end]:
                hint = f"`renderctl cancel {waits[0]}` first."
                raise Conflict(f"Job {waits[0]} waits for job {job_id}, which is {state}.", hint=hint)
            note = f"It was to wait for job {job_id}, which was {state} and has been removed."
            for row in (row for row in rows if not row.any_end):
                connection.execute(jobs.update().where(jobs.c.id == row.id).values(notes=[*row.notes, note]))
        links = (job_dependencies.c.after_id == job_id) | (job_dependencies.c.job_id == job_id)
        connection.execute(job_dependencies.delete().where(links))


def _erase_some(connection: Connection, now: datetime) -> bool:
    removed = select(jobs.c.id, jobs.c.submitting_until).where(jobs.c.removed_at.is_not(None), abandoned(now))
    job = connection.execute(removed.where(~_awaited()).order_by(jobs.c.id).limit(1)).first()
    if job is None:
        return False
    job_id = job.id
    if job.submitting_until is not None:  # nobody's any more: whoever wakes up and goes on with it finds that out
        taken = jobs.update().where(jobs.c.id == job_id, jobs.c.removed_at.is_not(None), abandoned(now))
        connection.execute(taken.values(submitting_until=None))
        return True
    first = connection.scalar(select(func.min(tasks.c.number)).where(tasks.c.job_id == job_id))
    if first is not None:
        for table in (outputs, attempts):
            connection.execute(table.delete().where(table.c.job_id == job_id, table.c.number < first + _BATCH))
        delete_tasks(connection, job_id, first + _BATCH)
        return True
    connection.execute(job_dependencies.delete().where(job_dependencies.c.after_id == job_id))
    for table in (job_inputs, job_exclusions, job_dependencies):
        connection.execute(table.delete().where(table.c.job_id == job_id))
    delete_counts(connection, job_id)
    connection.execute(jobs.delete().where(jobs.c.id == job_id))
    return True


def _awaited() -> ColumnElement[bool]:
    """Whether tasks of another job still wait for this one: the sweep frees them before its rows go."""
    blocked = by_state.where(tasks.c.job_id == job_dependencies.c.job_id, tasks.c.state == TaskState.BLOCKED)
    return exists().where(job_dependencies.c.after_id == jobs.c.id, blocked.exists())
