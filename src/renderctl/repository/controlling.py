"""Jobs as people steer them: paused, resumed, canceled, tried again; and how they end."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Select, bindparam, exists, func, select

from renderctl.actors import Actor
from renderctl.errors import IllegalTransition, NotFound
from renderctl.jobs import Job
from renderctl.repository.database import Database
from renderctl.repository.rows import to_job
from renderctl.repository.tables import attempts, job_dependencies, job_exclusions, job_inputs, jobs, tasks
from renderctl.states import ENDED_JOB, OPEN_JOB, OPEN_TASK, JobState, TaskState, before, step

_IDLE = (TaskState.QUEUED, TaskState.BLOCKED)

_STATE_AND_WORK = select(
    jobs.c.state,
    exists().where(tasks.c.job_id == jobs.c.id, tasks.c.state.in_(OPEN_TASK)).label("has_work"),
).where(jobs.c.id == bindparam("job"))


class Controlling(Database):
    """Steps between the states of jobs."""

    def pause(self, job_id: str, *, actor: Actor) -> Job:
        """No more tasks start; running ones finish."""
        return self.deed(lambda connection: self._step(connection, job_id, JobState.PAUSED, actor, "job.pause"))

    def resume(self, job_id: str, *, actor: Actor, bound_to: str | None = None) -> Job:
        """Go on with a paused job; `bound_to` a worker that takes it over, or free for every worker of its pool."""

        def writing(connection: Connection) -> Job:
            job = _locked(connection, job_id)
            if job.state is not JobState.PAUSED and not (bound_to and job.state in OPEN_JOB):
                raise IllegalTransition(f"Job {job.id} is {job.state}; only a paused job can be resumed.")
            state = JobState.RUNNING if job.started_at else JobState.QUEUED
            connection.execute(jobs.update().where(jobs.c.id == job_id).values(state=state, bound_to=bound_to))
            self.audit(connection, actor, "job.resume", job_id)
            return _locked(connection, job_id)

        return self.deed(writing)

    def cancel(self, job_id: str, *, actor: Actor) -> Job:
        """Stop a job: what is queued never starts, what runs is told to stop, what is finished is kept."""

        def writing(connection: Connection) -> Job:
            job = self._step(connection, job_id, JobState.CANCELED, actor, "job.cancel")
            self._cancel_idle(connection, job_id)
            return job

        return self.deed(writing)

    def set_priority(self, job_id: str, priority: int, *, actor: Actor) -> Job:
        """From the next turn on."""

        def writing(connection: Connection) -> Job:
            connection.execute(jobs.update().where(jobs.c.id == job_id).values(priority=priority))
            self.audit(connection, actor, "job.priority", job_id, priority=priority)
            return _locked(connection, job_id)

        return self.deed(writing)

    def retry(self, job_id: str, *, actor: Actor, frames: Iterable[int] | None = None) -> tuple[Job, int]:
        """Queue again: the given frames, whatever became of them, or else all that failed or were canceled.

        Returns the job and how many tasks were queued. Tasks that are open already are left alone.
        """

        def writing(connection: Connection) -> tuple[Job, int]:
            job = _locked(connection, job_id)
            wanted = tasks.c.job_id == job_id
            sources = before(TaskState.QUEUED) - {TaskState.RUNNING, TaskState.BLOCKED}
            waits = connection.execute(_open_dependencies(job_id)).scalar_one()
            state = TaskState.BLOCKED if waits else TaskState.QUEUED
            fresh = {"state": state, "attempts": 0, "attempt_id": None, "not_before": None, "error": None}
            count = 0
            for condition in _in_batches(frames) if frames is not None else (None,):
                states = sources if condition is not None else sources - {TaskState.SUCCEEDED}
                query = tasks.update().where(wanted, tasks.c.state.in_(states))
                query = query if condition is None else query.where(tasks.c.frame.in_(condition))
                count += connection.execute(query.values(fresh)).rowcount
            if count and job.state in ENDED_JOB:
                step(job.state, JobState.RUNNING)
                connection.execute(
                    jobs.update()
                    .where(jobs.c.id == job_id)
                    .values(state=JobState.RUNNING, finished_at=None, error=None, bound_to=None)
                )
            connection.execute(job_exclusions.delete().where(job_exclusions.c.job_id == job_id))
            self.audit(connection, actor, "job.retry", job_id, tasks=count)
            return _locked(connection, job_id), count

        return self.deed(writing)

    def settle(self, job_id: str) -> JobState | None:
        """End the job if no task of it is open any more; its state if it has ended, now or before."""
        state = self.read(lambda connection: _ending(connection, job_id))
        if state is None or state in ENDED_JOB:
            return state
        return self.write(lambda connection: self._settle(connection, job_id))

    def note(self, job_id: str, notes: Iterable[str]) -> None:
        """Keep what the artist should know about the job, each sentence once."""

        def writing(connection: Connection) -> None:
            known = list(_locked(connection, job_id).notes)
            fresh = [note for note in notes if note not in known]
            if fresh:
                connection.execute(jobs.update().where(jobs.c.id == job_id).values(notes=known + fresh))

        self.write(writing)

    def _step(self, connection: Connection, job_id: str, state: JobState, actor: Actor, action: str) -> Job:
        job = _locked(connection, job_id)
        if job.state is state:
            return job
        step(job.state, state)
        changes: dict[str, Any] = {"state": state}
        if state in ENDED_JOB:
            changes["finished_at"] = self.now(connection)
        connection.execute(jobs.update().where(jobs.c.id == job_id).values(changes))
        self.audit(connection, actor, action, job_id)
        return _locked(connection, job_id)

    def _cancel_idle(self, connection: Connection, job_id: str) -> int:
        idle = tasks.update().where(tasks.c.job_id == job_id, tasks.c.state.in_(_IDLE))
        return connection.execute(idle.values(state=TaskState.CANCELED)).rowcount

    def _settle(self, connection: Connection, job_id: str) -> JobState | None:
        _locked(connection, job_id)
        state = _ending(connection, job_id)
        if state is None or state in ENDED_JOB:
            return state
        undone = (TaskState.FAILED, TaskState.CANCELED)
        query = select(tasks.c.state, tasks.c.error).where(tasks.c.job_id == job_id, tasks.c.state.in_(undone))
        worst_first = query.order_by(tasks.c.state.desc(), tasks.c.number)  # failed, then canceled
        worst = connection.execute(worst_first.limit(1)).first()
        state = JobState(worst.state) if worst else JobState.SUCCEEDED
        connection.execute(
            jobs.update()
            .where(jobs.c.id == job_id, jobs.c.state.in_(before(state)))
            .values(state=state, finished_at=self.now(connection), error=worst.error if worst else None)
        )
        if state is JobState.SUCCEEDED:
            self._unblock(connection, job_id)
        return state

    def _unblock(self, connection: Connection, done_id: str) -> list[str]:
        """Queue the tasks of the jobs that waited for this one alone; their ids."""
        freed = []
        waiting = select(job_dependencies.c.job_id).where(job_dependencies.c.after_id == done_id)
        for job_id in connection.scalars(waiting).all():
            if connection.execute(_open_dependencies(job_id)).scalar_one() == 0:
                blocked = tasks.update().where(tasks.c.job_id == job_id, tasks.c.state == TaskState.BLOCKED)
                if connection.execute(blocked.values(state=TaskState.QUEUED)).rowcount:
                    freed.append(job_id)
        return freed

    def discard_job(self, job_id: str, reason: str, *, actor: Actor) -> None:
        """Take a job back that nobody has begun to work on, as if it had not been submitted."""

        def writing(connection: Connection) -> None:
            if connection.execute(select(attempts.c.id).where(attempts.c.job_id == job_id).limit(1)).first():
                raise IllegalTransition(f"Job {job_id} has been worked on; it can only be canceled.")
            for table in (job_dependencies, job_inputs, tasks):
                connection.execute(table.delete().where(table.c.job_id == job_id))
            connection.execute(jobs.delete().where(jobs.c.id == job_id))
            self.audit(connection, actor, "job.discard", job_id, reason=reason)

        self.deed(writing)

    def dependents(self, job_id: str) -> list[Job]:
        """The jobs that wait, or waited, for this one."""
        query = select(jobs).join(job_dependencies, job_dependencies.c.job_id == jobs.c.id)
        query = query.where(job_dependencies.c.after_id == job_id)
        return self.read(lambda connection: [to_job(row) for row in connection.execute(query)])


def _open_dependencies(job_id: str) -> Select[Any]:
    """How many of the jobs that have to succeed first have not."""
    return (
        select(func.count())
        .select_from(job_dependencies.join(jobs, jobs.c.id == job_dependencies.c.after_id))
        .where(job_dependencies.c.job_id == job_id, jobs.c.state != JobState.SUCCEEDED)
    )


def _locked(connection: Connection, job_id: str) -> Job:
    row = connection.execute(select(jobs).where(jobs.c.id == job_id).with_for_update()).first()
    if row is None:
        raise NotFound(f"There is no job {job_id!r}.")
    return to_job(row)


def _ending(connection: Connection, job_id: str) -> JobState | None:
    """The job's state if it has ended; RUNNING if it should end now; None while a task is open."""
    row = connection.execute(_STATE_AND_WORK, {"job": job_id}).first()
    if row is None or JobState(row.state) in ENDED_JOB:
        return JobState(row.state) if row else None
    return None if row.has_work else JobState.RUNNING


def _in_batches(frames: Iterable[int], size: int = 500) -> Iterable[list[int]]:
    batch: list[int] = []
    for frame in frames:
        batch.append(frame)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
