"""New jobs: a small one is added in one transaction, a large one in many, hidden until the last.

Until then its row is that of a removed job, whose rows the sweep deletes. The submitter prevents that with
`submitting_until`, which every batch of tasks extends. A submission that was killed runs out, and is deleted like any
removed job. See docs/decisions/0033-batched-submission.md.
"""

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, or_, select

from renderctl.core.actors import Actor
from renderctl.core.errors import Conflict, DatabaseUnavailable, NotFound, SubmissionLost
from renderctl.core.ids import new_id
from renderctl.core.jobs import Job, NewJob
from renderctl.core.quotas import UNLIMITED, Holder, Limits, Quotas
from renderctl.core.states import ENDED_JOB, JobState, TaskState
from renderctl.repository.blobs.references import require_not_collected
from renderctl.repository.database import Database, Part, add_audit_entry, db_now
from renderctl.repository.database.batches import FIRST_ROWS, BatchSize, let_others_write, write_batch
from renderctl.repository.jobs.task_rows import TaskBatch, TaskBatches, is_inserted
from renderctl.repository.jobs.task_states import insert_tasks
from renderctl.repository.jobs.tasks import Tasks
from renderctl.repository.people.enabled import require_enabled
from renderctl.repository.quotas import lock_quotas, require_storage, require_work, store_ended_sums, use_uploads
from renderctl.repository.schema.jobs import job_dependencies, job_inputs, jobs, models
from renderctl.repository.schema.mappers import to_job

#: How long a submission without a sign of life stays its submitter's.
_PATIENCE = timedelta(minutes=2)


@dataclass(frozen=True)
class _Submission:
    """A job that is being added."""

    job_id: str  #: the same in every try: a job whose COMMIT was not answered cannot be added twice
    new: NewJob
    actor: Actor
    limits: Mapping[Holder, Limits]
    tasks: TaskBatches
    since: datetime | None  #: when its files were leased

    @property
    def visible(self) -> dict[str, Any]:
        """The columns of its row once it is visible."""
        state = JobState.PAUSED if self.new.paused else JobState.QUEUED
        return {"state": state, "idempotency_key": self.new.idempotency_key, "removed_at": None}


class JobSubmission(Part):
    """Adds one job."""

    def __init__(self, database: Database, tasks: Tasks) -> None:
        super().__init__(database)
        self._tasks = tasks

    def add(
        self, new: NewJob, *, actor: Actor, since: datetime | None = None, quotas: Quotas = UNLIMITED
    ) -> tuple[Job, bool]:
        """Do `Jobs.add`."""
        tasks = TaskBatches(new.frames, new.cameras)
        submission = _Submission(new_id(), new, actor, quotas.of(actor.name, new.project), tasks, since)
        return self._add(submission) if tasks.count <= FIRST_ROWS else self._add_in_batches(submission)

    def _add(self, submission: _Submission) -> tuple[Job, bool]:
        """Add it in one transaction."""
        batch = submission.tasks.take(FIRST_ROWS)

        def writing(connection: Connection) -> tuple[Job, bool]:
            if earlier := _earlier_job(connection, submission):
                return earlier, False
            state = _insert_job(connection, submission, submission.visible)
            if batch:
                insert_tasks(connection, submission.job_id, batch, state)
            return _finish(connection, submission), True

        return self._database.durable_write(writing, recover=_added)

    def _add_in_batches(self, submission: _Submission) -> tuple[Job, bool]:
        """Add it hidden, then show it."""
        begun = self._database.write(
            lambda connection: _insert_hidden(connection, submission),
            recover=lambda connection: _state_of_tasks(connection, submission),
        )
        if isinstance(begun, Job):
            return begun, False
        try:
            self._insert_tasks(submission, begun)
            added = self._database.durable_write(lambda connection: _show(connection, submission), recover=_added)
        except BaseException:
            with suppress(Exception):  # else it runs out
                self._database.write(lambda connection: _give_up(connection, submission.job_id))
            raise
        if added[1] and begun is TaskState.BLOCKED:
            with suppress(DatabaseUnavailable):  # the job is there; a sweep unblocks it then
                # What it waits for may have ended before there was anything that waits.
                self._tasks.unblock(submission.job_id)
        return added

    def _insert_tasks(self, submission: _Submission, state: TaskState) -> None:
        """Insert its tasks, batch by batch. Raises SubmissionLost."""
        size, job_id = BatchSize(), submission.job_id
        while batch := submission.tasks.take(size.rows):

            def inserting(connection: Connection, batch: TaskBatch = batch) -> bool:
                _extend(connection, job_id)
                insert_tasks(connection, job_id, batch, state)
                return True

            def recover(connection: Connection, batch: TaskBatch = batch) -> bool | None:
                return is_inserted(connection, job_id, batch) or None

            write_batch(self._database, size, inserting, recover=recover)
            let_others_write(self._database, size)


def _insert_hidden(connection: Connection, submission: _Submission) -> TaskState | Job:
    if earlier := _earlier_job(connection, submission):
        return earlier
    now = db_now(connection)
    hidden = {"state": JobState.CANCELED, "removed_at": now, "submitting_until": now + _PATIENCE}
    return _insert_job(connection, submission, hidden)


def _extend(connection: Connection, job_id: str) -> None:
    """Extend the time of the submission. Raises SubmissionLost if it ran out."""
    own = (jobs.c.id == job_id) & jobs.c.submitting_until.is_not(None)
    longer = jobs.update().where(own).values(submitting_until=db_now(connection) + _PATIENCE)
    if not connection.execute(longer).rowcount:
        raise SubmissionLost


def _show(connection: Connection, submission: _Submission) -> tuple[Job, bool]:
    """Make the job visible to everybody."""
    if earlier := _earlier_job(connection, submission):
        _give_up(connection, submission.job_id)
        return earlier, False
    _extend(connection, submission.job_id)
    shown = {**submission.visible, "submitting_until": None, "created_at": db_now(connection)}
    connection.execute(jobs.update().where(jobs.c.id == submission.job_id).values(shown))
    return _finish(connection, submission), True


def _insert_job(connection: Connection, submission: _Submission, visibility: Mapping[str, Any]) -> TaskState:
    """Insert its row and its files, which no garbage collection takes from then on; return the state of its tasks."""
    new, limits = submission.new, submission.limits
    require_work(connection, limits, jobs=1, tasks=submission.tasks.count)
    store_ended_sums(connection, limits, db_now(connection))
    require_storage(connection, limits)
    state = TaskState.BLOCKED if _has_open_dependencies(connection, new) else TaskState.QUEUED
    row = {
        **{key: value for key, value in asdict(new).items() if key in jobs.c and key != "frames"},
        "id": submission.job_id,
        "model": _lock_model(connection, new.model_id),
        "options": new.options.as_document(),
        "frames": str(new.frames),
        "cameras": list(new.cameras),
        "requirements": new.requirements.as_document() if new.requirements else None,
        "requirement_key": new.requirements.key,
        "owner": submission.actor.name,
        "serial": 1,
        "nudges": 0,
        "created_at": db_now(connection),
        "claimable_at": db_now(connection) if state is TaskState.QUEUED else None,
        "notes": list(new.notes),
        "request_digest": _request_digest(new),
        "task_count": submission.tasks.count,
        "idempotency_key": None,
        **visibility,
    }
    connection.execute(jobs.insert(), row)
    if new.inputs:
        files = [{"job_id": submission.job_id, **asdict(file)} for file in new.inputs]
        connection.execute(job_inputs.insert(), files)
    require_not_collected(connection, {file.digest for file in new.inputs}, submission.since or db_now(connection))
    return state


def _finish(connection: Connection, submission: _Submission) -> Job:
    """Do what belongs into the transaction that shows the job, after all that others might wait for."""
    new, limits, job_id = submission.new, submission.limits, submission.job_id
    use_uploads(connection, submission.actor.name, (file.digest for file in new.inputs))
    _add_dependencies(connection, job_id, new)
    job = to_job(connection.execute(select(jobs).where(jobs.c.id == job_id)).one())
    add_audit_entry(connection, submission.actor, "job.submit", job_id, model=job.model, frames=str(new.frames))
    lock_quotas(connection, limits)
    require_work(connection, limits)
    if new.inputs:
        require_storage(connection, limits)
    return job


def is_abandoned(now: datetime) -> ColumnElement[bool]:
    """Whether nobody is submitting the removed job.

    A time further ahead than anybody sets it means that the clock was set back.
    """
    until = jobs.c.submitting_until
    return or_(until.is_(None), until <= now, until > now + 2 * _PATIENCE)


def _give_up(connection: Connection, job_id: str) -> None:
    """Give up a submission: its rows are deleted."""
    own = (jobs.c.id == job_id) & jobs.c.submitting_until.is_not(None)
    connection.execute(jobs.update().where(own).values(submitting_until=None))


def _added(connection: Connection, audit: Row[Any]) -> tuple[Job, bool]:
    return to_job(connection.execute(select(jobs).where(jobs.c.id == audit.subject)).one()), True


def _earlier_job(connection: Connection, submission: _Submission) -> Job | None:
    """Return the job of the same idempotency key. Raises Conflict if that was another request, TokenRefused."""
    require_enabled(connection, submission.actor)
    new = submission.new
    if new.idempotency_key is None:
        return None
    owned = jobs.c.owner == submission.actor.name
    row = connection.execute(select(jobs).where(owned, jobs.c.idempotency_key == new.idempotency_key)).first()
    if row is not None and row.request_digest != _request_digest(new):
        raise Conflict(hint=f"It was used for job {row.id}. Use a new key for a new request.")
    return to_job(row) if row is not None else None


def _state_of_tasks(connection: Connection, submission: _Submission) -> TaskState | None:
    """Return the state of its tasks if its row is there, else None."""
    if connection.execute(select(jobs.c.id).where(jobs.c.id == submission.job_id)).first() is None:
        return None
    return TaskState.BLOCKED if _has_open_dependencies(connection, submission.new) else TaskState.QUEUED


def _has_open_dependencies(connection: Connection, new: NewJob) -> bool:
    if not new.after and not new.after_any:
        return False
    named = select(jobs.c.id, jobs.c.state).where(jobs.c.id.in_({*new.after, *new.after_any}))
    states = {row.id: row.state for row in connection.execute(named)}
    unfinished = any(states.get(job_id) not in ENDED_JOB for job_id in new.after_any)
    return unfinished or any(states.get(job_id) != JobState.SUCCEEDED for job_id in new.after)


def _lock_model(connection: Connection, model_id: str) -> str:
    """Return `NAME@VERSION` of the model, and keep it from removal until the transaction ends. Raises NotFound."""
    query = select(models.c.name, models.c.version).where(models.c.id == model_id)
    row = connection.execute(query.with_for_update(read=True)).first()
    if row is None:
        raise NotFound(f"Model {model_id} was removed meanwhile.", hint="`renderctl upload` adds it again.")
    return f"{row.name}@{row.version}"


def _add_dependencies(connection: Connection, job_id: str, new: NewJob) -> None:
    """Have the job wait for others, none of which is removed until the transaction ends. Raises NotFound.

    They are locked in the order of their ids, and late: their own ends wait for this transaction.
    """
    after = {*new.after, *new.after_any}
    if not after:
        return
    query = select(jobs.c.id).where(jobs.c.id.in_(after), jobs.c.removed_at.is_(None)).order_by(jobs.c.id)
    present = set(connection.scalars(query.with_for_update(read=True)))
    for missing in sorted(after - present):
        raise NotFound(f"Job {missing}, which the new one was to wait for, was removed meanwhile.")
    links = [{"job_id": job_id, "after_id": other, "any_end": other not in new.after} for other in sorted(present)]
    connection.execute(job_dependencies.insert(), links)


def _request_digest(new: NewJob) -> str:
    request = {**asdict(new), "frames": str(new.frames), "options": new.options.as_document()}
    request |= {"idempotency_key": None, "bound_to": None}
    del request["notes"]  # they follow from the model
    if not new.after_any:
        del request["after_any"]  # so keys that were used before this field existed stay valid
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
