"""Jobs: found, listed, added, controlled, removed. What they consist of is in `tasks` and `outputs`."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, or_, select

from renderctl.core.actors import Actor
from renderctl.core.errors import IllegalTransition, NotFound
from renderctl.core.jobs import Input, Job, NewJob, RemovedJob
from renderctl.core.limits import MAX_NOTES
from renderctl.core.permissions import ALL, Visibility
from renderctl.core.quotas import UNLIMITED, Quotas
from renderctl.core.states import ENDED_JOB, OPEN_JOB, JobState
from renderctl.repository.database import Database, Part, add_audit_entry, db_now, durable_write, read, write
from renderctl.repository.jobs import deletion, lifecycle
from renderctl.repository.jobs.claim_times import bring_forward
from renderctl.repository.jobs.job_rows import NOT_AWAITED, find_row, lock_job
from renderctl.repository.jobs.retry import retry_tasks
from renderctl.repository.jobs.submission import JobSubmission
from renderctl.repository.jobs.tasks import Tasks
from renderctl.repository.people.enabled import require_enabled
from renderctl.repository.schema.jobs import job_dependencies, job_inputs, jobs
from renderctl.repository.schema.mappers import (
    to_job,
    visible,
)


class Jobs(Part):
    """The jobs of the farm."""

    def __init__(self, database: Database, tasks: Tasks) -> None:
        super().__init__(database)
        self._tasks = tasks

    @read
    def find(self, connection: Connection, ref: str, *, visibility: Visibility = ALL) -> Job:
        """Return a job by its id, a unique prefix of it, or its name if that is unique. Raises NotFound."""
        return to_job(find_row(connection, jobs, "job", ref, visibility))

    @read
    def find_all(self, connection: Connection, refs: Sequence[str], *, visibility: Visibility = ALL) -> list[Job]:
        """Return jobs as `find` does, in the order of their references. Raises NotFound."""
        return [to_job(find_row(connection, jobs, "job", ref, visibility)) for ref in refs]

    @read
    def find_at(self, connection: Connection, ref: str, *, visibility: Visibility = ALL) -> tuple[Job, datetime]:
        """Return a job as `find` does, and the database's time. Raises NotFound."""
        now = db_now(connection)
        return to_job(find_row(connection, jobs, "job", ref, visibility)), now

    @read
    def get(self, connection: Connection, job_id: str) -> Job:
        """Return the job with this id. Raises NotFound."""
        row = connection.execute(select(jobs).where(jobs.c.id == job_id, jobs.c.removed_at.is_(None))).first()
        if row is None:
            raise NotFound(f"There is no job {job_id!r}.")
        return to_job(row)

    @read
    def visible_ids(self, connection: Connection, ids: Collection[str], visibility: Visibility) -> set[str]:
        """Return those of the ids whose jobs are visible."""
        query = select(jobs.c.id).where(jobs.c.id.in_(list(ids)), *visible(jobs, visibility))
        return set(connection.scalars(query))

    @read
    def open_ids(self, connection: Connection, *, bound_to: str | None = None) -> list[str]:
        """Return the ids of the jobs that have not ended: all of them, or those reserved for the worker `bound_to`."""
        query = select(jobs.c.id).where(jobs.c.state.in_(OPEN_JOB))
        if bound_to is not None:
            query = query.where(jobs.c.bound_to == bound_to)
        return list(connection.scalars(query))

    def older_than(
        self, days: Mapping[JobState, float], *, limit: int = 1000, visibility: Visibility = ALL
    ) -> list[str]:
        """Return the ids of jobs that ended in a state more than so many days ago, the oldest first."""

        def reading(connection: Connection) -> list[str]:
            now = db_now(connection)
            old = [
                (jobs.c.state == state) & (jobs.c.finished_at < now - timedelta(days=age))
                for state, age in days.items()
            ]
            query = (
                select(jobs.c.id)
                .where(or_(*old), jobs.c.removed_at.is_(None), *visible(jobs, visibility))
                .order_by(jobs.c.id)
            )
            return list(connection.scalars(query.limit(limit)))

        return self._database.read(reading) if days else []

    @read
    def paused_with_owner(self, connection: Connection, name: str, *, limit: int) -> Sequence[str]:
        """Return the ids of jobs that are paused because their owner was disabled, the newest first."""
        which = (jobs.c.owner == name) & (jobs.c.state == JobState.PAUSED) & jobs.c.pause_reason.is_not(None)
        query = select(jobs.c.id).where(which).order_by(jobs.c.id.desc()).limit(limit)
        return connection.scalars(query).all()

    def inputs(self, job_id: str) -> list[Input]:
        """Return the files that a job has beside those of its model."""
        query = select(job_inputs).where(job_inputs.c.job_id == job_id)
        rows = self._database.read(lambda connection: connection.execute(query).all())
        return [Input(row.path, row.digest, row.size) for row in rows]

    @read
    def dependencies(self, connection: Connection, job_id: str) -> list[Job]:
        """Return the jobs that this one still waits for."""
        query = select(jobs).join(job_dependencies, job_dependencies.c.after_id == jobs.c.id)
        query = query.where(job_dependencies.c.job_id == job_id, ~NOT_AWAITED)
        return [to_job(row) for row in connection.execute(query)]

    @read
    def dependents(self, connection: Connection, job_id: str) -> list[Job]:
        """Return the jobs that wait, or waited, for this one."""
        query = select(jobs).join(job_dependencies, job_dependencies.c.job_id == jobs.c.id)
        query = query.where(job_dependencies.c.after_id == job_id)
        return [to_job(row) for row in connection.execute(query)]

    def add(
        self, new: NewJob, *, actor: Actor, since: datetime | None = None, quotas: Quotas = UNLIMITED
    ) -> tuple[Job, bool]:
        """Add a job with all its tasks, or nothing; return it, and False if its idempotency key was used for the same
        request.

        `since`: when its files were leased. Raises Conflict if the key was used for another request, BlobCollected if
        one of the files was collected since, NotFound if the model or a dependency was removed, QuotaExceeded,
        SubmissionLost.
        """
        return JobSubmission(self._database, self._tasks).add(new, actor=actor, since=since, quotas=quotas)

    @durable_write
    def pause(self, connection: Connection, job_id: str, *, actor: Actor) -> Job:
        """Pause a job: running tasks finish, no more start. Raises NotFound, IllegalTransition."""
        return lifecycle.step(connection, job_id, JobState.PAUSED, actor, "job.pause")

    def resume(self, job_id: str, *, actor: Actor, bound_to: str | None = None) -> Job:
        """Resume a paused job.

        `bound_to`: the worker that takes it over; None: any worker of its pool may. Raises NotFound, IllegalTransition,
        TokenRefused.
        """

        def writing(connection: Connection) -> Job:
            require_enabled(connection, actor)
            job = lock_job(connection, job_id)
            if job.state is not JobState.PAUSED and not (bound_to and job.state in OPEN_JOB):
                raise IllegalTransition(f"Job {job.id} is {job.state}; only a paused job can be resumed.")
            state = JobState.RUNNING if job.started_at else JobState.QUEUED
            changes = {"state": state, "bound_to": bound_to, "pause_reason": None}
            connection.execute(jobs.update().where(jobs.c.id == job_id).values(changes))
            bring_forward(connection, job_id, db_now(connection))
            add_audit_entry(connection, actor, "job.resume", job_id)
            return lock_job(connection, job_id)

        return self._database.durable_write(writing, recover=lambda connection, _: lock_job(connection, job_id))

    def cancel(self, job_id: str, *, actor: Actor) -> Job:
        """Cancel a job: queued tasks never start, running ones are told to stop, outputs are kept.

        Raises NotFound, IllegalTransition.
        """
        job = self._database.durable_write(
            lambda connection: lifecycle.step(connection, job_id, JobState.CANCELED, actor, "job.cancel")
        )
        self._tasks.cancel_waiting(job_id)
        return job

    @durable_write
    def set_priority(self, connection: Connection, job_id: str, priority: int, *, actor: Actor) -> Job:
        """Set the priority of a job, which counts from its next turn on. Raises NotFound."""
        connection.execute(jobs.update().where(jobs.c.id == job_id).values(priority=priority))
        add_audit_entry(connection, actor, "job.priority", job_id, priority=priority)
        return lock_job(connection, job_id)

    def finish_if_done(self, job_id: str) -> JobState | None:
        """End the job if none of its tasks is open; return its state if it has ended, now or before."""
        state = self._database.read(lambda connection: lifecycle.ending(connection, job_id))
        if state is None or state in ENDED_JOB:
            return state
        state = self._database.write(lambda connection: lifecycle.finish(connection, job_id))
        if state is not None:
            self._tasks.unblock_dependents(job_id)
        return state

    @write
    def add_notes(self, connection: Connection, job_id: str, notes: Collection[str]) -> None:
        """Add notes for the artist to the job, each sentence once, up to a limit. Raises NotFound."""
        known = list(lock_job(connection, job_id).notes)
        fresh = [note for note in notes if note not in known][: max(MAX_NOTES - len(known), 0)]
        if fresh:
            connection.execute(jobs.update().where(jobs.c.id == job_id).values(notes=known + fresh))

    def retry(
        self, job_id: str, *, actor: Actor, frames: Iterable[int] | None = None, quotas: Quotas = UNLIMITED
    ) -> tuple[Job, int]:
        """Queue tasks again: those of the given frames in whatever state, or else all that failed or were canceled.

        Returns the job and the number of tasks queued. Open tasks are left alone. Many tasks are queued in batches, the
        first of which makes the job run again. Raises NotFound, TokenRefused, and QuotaExceeded if one more open job
        would be too many.
        """
        return retry_tasks(self._database, job_id, actor=actor, frames=frames, quotas=quotas)

    def remove(self, job_id: str, *, actor: Actor, dry_run: bool = False) -> RemovedJob:
        """Remove an ended job: it is hidden at once, and the sweep deletes its rows. With `dry_run`, report what would
        go.

        Raises NotFound, IllegalTransition while it is open or being rendered, Conflict while another job waits for it.
        """
        freed = []
        if not dry_run:  # in case the end of the job has not unblocked them yet
            freed = self._tasks.unblock_dependents(job_id)
        removed = self._database.durable_write(
            lambda connection: deletion.remove(connection, job_id, actor, dry_run=dry_run),
            recover=lambda _connection, audit: RemovedJob(job_id, **audit.details),
        )
        return replace(removed, freed=tuple(freed))

    def discard(self, job_id: str, reason: str, *, actor: Actor) -> None:
        """Remove a job that nobody has worked on, as if it had not been submitted. Raises IllegalTransition if somebody
        has.
        """
        self._database.durable_write(lambda connection: deletion.hide_unstarted(connection, job_id, reason, actor))
        while self._database.write(lambda connection: deletion.delete_unstarted_batch(connection, job_id)):
            pass
