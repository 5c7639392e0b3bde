"""Jobs as people steer them: paused, resumed, canceled; and how they end."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, select

from renderctl.core.actors import Actor
from renderctl.core.errors import IllegalTransition
from renderctl.core.jobs import Job
from renderctl.core.limits import MAX_NOTES
from renderctl.core.states import ENDED_JOB, OPEN_JOB, JobState, TaskState, predecessors, transition
from renderctl.core.webhooks import Event
from renderctl.repository.attempts.claim_times import bring_forward
from renderctl.repository.jobs.batches import FIRST_ROWS
from renderctl.repository.jobs.bulk import HAS_WORK, Flipping, locked
from renderctl.repository.jobs.counts import delete_counts
from renderctl.repository.jobs.task_states import delete_tasks
from renderctl.repository.people.users import require_enabled
from renderctl.repository.schema.jobs import attempts, by_state, job_dependencies, job_inputs, jobs, tasks
from renderctl.repository.schema.mapping import to_job
from renderctl.repository.webhooks.outbox import Telling

_STATE_AND_WORK = select(
    jobs.c.state,
    HAS_WORK.label("has_work"),
).where(jobs.c.id == bindparam("job"))

_ENDS = {
    JobState.SUCCEEDED: Event.JOB_SUCCEEDED,
    JobState.FAILED: Event.JOB_FAILED,
    JobState.CANCELED: Event.JOB_CANCELED,
}


class Controlling(Telling, Flipping):
    """Steps between the states of jobs."""

    def pause(self, job_id: str, *, actor: Actor) -> Job:
        """No more tasks start; running ones finish."""
        return self.deed(lambda connection: self._step(connection, job_id, JobState.PAUSED, actor, "job.pause"))

    def resume(self, job_id: str, *, actor: Actor, bound_to: str | None = None) -> Job:
        """Go on with a paused job; `bound_to` a worker that takes it over, or free for every worker of its pool."""

        def writing(connection: Connection) -> Job:
            require_enabled(connection, actor)
            job = locked(connection, job_id)
            if job.state is not JobState.PAUSED and not (bound_to and job.state in OPEN_JOB):
                raise IllegalTransition(f"Job {job.id} is {job.state}; only a paused job can be resumed.")
            state = JobState.RUNNING if job.started_at else JobState.QUEUED
            changes = {"state": state, "bound_to": bound_to, "pause_reason": None}
            connection.execute(jobs.update().where(jobs.c.id == job_id).values(changes))
            bring_forward(connection, job_id, self.now(connection))
            self.audit(connection, actor, "job.resume", job_id)
            return locked(connection, job_id)

        return self.deed(writing, done=lambda connection, _: locked(connection, job_id))

    def cancel(self, job_id: str, *, actor: Actor) -> Job:
        """Stop a job: what is queued never starts, what runs is told to stop, what is finished is kept."""
        job = self.deed(lambda connection: self._step(connection, job_id, JobState.CANCELED, actor, "job.cancel"))
        self.cancel_idle(job_id)
        return job

    def set_priority(self, job_id: str, priority: int, *, actor: Actor) -> Job:
        """From the next turn on."""

        def writing(connection: Connection) -> Job:
            connection.execute(jobs.update().where(jobs.c.id == job_id).values(priority=priority))
            self.audit(connection, actor, "job.priority", job_id, priority=priority)
            return locked(connection, job_id)

        return self.deed(writing)

    def settle(self, job_id: str) -> JobState | None:
        """End the job if no task of it is open any more; its state if it has ended, now or before."""
        state = self.read(lambda connection: _ending(connection, job_id))
        if state is None or state in ENDED_JOB:
            return state
        state = self.write(lambda connection: self._settle(connection, job_id))
        if state is not None:
            self.unblock_after(job_id)
        return state

    def note(self, job_id: str, notes: Iterable[str]) -> None:
        """Keep what the artist should know about the job, each sentence once."""

        def writing(connection: Connection) -> None:
            known = list(locked(connection, job_id).notes)
            fresh = [note for note in notes if note not in known][: max(MAX_NOTES - len(known), 0)]
            if fresh:
                connection.execute(jobs.update().where(jobs.c.id == job_id).values(notes=known + fresh))

        self.write(writing)

    def _step(self, connection: Connection, job_id: str, state: JobState, actor: Actor, action: str) -> Job:
        job = locked(connection, job_id)
        if job.state is state:
            return job
        transition(job.state, state)
        changes: dict[str, Any] = {"state": state, "pause_reason": None}
        if state in ENDED_JOB:
            changes |= {"finished_at": self.now(connection), "stop_settled": False}
        connection.execute(jobs.update().where(jobs.c.id == job_id).values(changes))
        if state in ENDED_JOB:
            self.tell(connection, _ENDS[state], job_id)
        self.audit(connection, actor, action, job_id)
        return locked(connection, job_id)

    def _settle(self, connection: Connection, job_id: str) -> JobState | None:
        locked(connection, job_id)
        state = _ending(connection, job_id)
        if state is None or state in ENDED_JOB:
            return state
        worst = _first_of(connection, job_id, TaskState.FAILED) or _first_of(connection, job_id, TaskState.CANCELED)
        state = JobState(worst.state) if worst else JobState.SUCCEEDED
        ended = connection.execute(
            jobs.update()
            .where(jobs.c.id == job_id, jobs.c.state.in_(predecessors(state)))
            .values(state=state, finished_at=self.now(connection), error=worst.error if worst else None)
        )
        if ended.rowcount:
            self.tell(connection, _ENDS[state], job_id)
        return state

    def discard_job(self, job_id: str, reason: str, *, actor: Actor) -> None:
        """Take a job back that nobody has begun to work on, as if it had not been submitted."""

        def stopping(connection: Connection) -> None:
            if connection.execute(select(attempts.c.id).where(attempts.c.job_id == job_id).limit(1)).first():
                raise IllegalTransition(f"Job {job_id} has been worked on; it can only be canceled.")
            hidden = {"state": JobState.CANCELED, "removed_at": self.now(connection), "idempotency_key": None}
            connection.execute(jobs.update().where(jobs.c.id == job_id).values(hidden))
            self.audit(connection, actor, "job.discard", job_id, reason=reason)

        def deleting(connection: Connection) -> bool:
            first = connection.scalar(select(func.min(tasks.c.number)).where(tasks.c.job_id == job_id))
            if first is not None:
                delete_tasks(connection, job_id, first + FIRST_ROWS)
                return True
            for table in (job_dependencies, job_inputs):
                connection.execute(table.delete().where(table.c.job_id == job_id))
            delete_counts(connection, job_id)
            connection.execute(jobs.delete().where(jobs.c.id == job_id))
            return False

        self.deed(stopping)
        while self.write(deleting):
            pass

    def dependents(self, job_id: str) -> list[Job]:
        """The jobs that wait, or waited, for this one."""
        query = select(jobs).join(job_dependencies, job_dependencies.c.job_id == jobs.c.id)
        query = query.where(job_dependencies.c.after_id == job_id)
        return self.read(lambda connection: [to_job(row) for row in connection.execute(query)])


def _first_of(connection: Connection, job_id: str, state: TaskState) -> Row[Any] | None:
    """The first task of the job that is in the state."""
    query = by_state.add_columns(tasks.c.state, tasks.c.error)
    query = query.where(tasks.c.job_id == job_id, tasks.c.state == state).order_by(tasks.c.number).limit(1)
    return connection.execute(query).first()


def _ending(connection: Connection, job_id: str) -> JobState | None:
    """The job's state if it has ended; RUNNING if it should end now; None while a task is open."""
    row = connection.execute(_STATE_AND_WORK, {"job": job_id}).first()
    if row is None or JobState(row.state) in ENDED_JOB:
        return JobState(row.state) if row else None
    return None if row.has_work else JobState.RUNNING
