"""Jobs as they are asked for: added whole, found, listed, counted."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Row, select

from renderctl.actors import Actor
from renderctl.errors import Conflict, NotFound
from renderctl.frames import FrameSet
from renderctl.ids import new_id
from renderctl.jobs import Attempt, Input, Job, NewJob, Output, Task, TaskCounts
from renderctl.permissions import EVERYTHING, Sight
from renderctl.quotas import UNLIMITED, Holder, Limits, Quotas
from renderctl.repository.database import Database
from renderctl.repository.enrolling import require_enabled
from renderctl.repository.flipping import OVER
from renderctl.repository.job_counts import count_tasks, read_counts
from renderctl.repository.keeping import require_kept
from renderctl.repository.quotas import lock_quotas, require_storage, require_work, sum_up_ended, use_uploads
from renderctl.repository.rows import ANY_ATTEMPT, to_attempt, to_job, to_output, to_task
from renderctl.repository.seeing import visible
from renderctl.repository.tables import attempts, job_dependencies, job_inputs, jobs, models, outputs, tasks
from renderctl.repository.task_states import insert_tasks
from renderctl.states import ENDED_JOB, AttemptState, JobState, TaskState

_BATCH = 5_000


class Submitting(Database):
    """Jobs, and what they consist of."""

    def add_job(
        self, new: NewJob, *, actor: Actor, since: datetime | None = None, quotas: Quotas = UNLIMITED
    ) -> tuple[Job, bool]:
        """Add a job with all its tasks, in one transaction. False: its idempotency key had been used for the same.

        `since`: when its files were leased. Raises Conflict when the key was used for another request, BlobCollected
        if one of the files was collected meanwhile, NotFound if the model, or a job that it waits for, was removed,
        QuotaExceeded.
        """

        job_id = new_id()  # one and the same in every try: what was committed unheard can not be added once more

        def writing(connection: Connection) -> tuple[Job, bool]:
            limits = quotas.of(actor.name, new.project)
            added = self._add_job(connection, job_id, new, actor, limits)
            if added[1]:  # after the insert: nobody waits for us while we add the tasks
                lock_quotas(connection, limits)
                require_work(connection, limits)
                if new.inputs:
                    require_storage(connection, limits)
            require_kept(connection, {each.digest for each in new.inputs}, since or self.now(connection))
            return added

        def done(connection: Connection, audit: Row[Any]) -> tuple[Job, bool]:
            return to_job(connection.execute(select(jobs).where(jobs.c.id == audit.subject)).one()), True

        return self.deed(writing, done=done)

    def find_job(self, ref: str, *, sight: Sight = EVERYTHING) -> Job:
        """A job by its id, a unique beginning of it, or its name when that is unique. Raises NotFound."""
        return self.read(lambda connection: to_job(find_row(connection, jobs, "job", ref, sight)))

    def visible_jobs(self, ids: Iterable[str], sight: Sight) -> set[str]:
        """Those of the jobs that may be seen."""
        query = select(jobs.c.id).where(jobs.c.id.in_(list(ids)), *visible(jobs, sight))
        return self.read(lambda connection: set(connection.scalars(query)))

    def job(self, job_id: str) -> Job:
        """A job by its whole id. Raises NotFound."""

        def reading(connection: Connection) -> Job:
            row = connection.execute(select(jobs).where(jobs.c.id == job_id, jobs.c.removed_at.is_(None))).first()
            if row is None:
                raise NotFound(f"There is no job {job_id!r}.")
            return to_job(row)

        return self.read(reading)

    def counts(self, job_id: str) -> TaskCounts:
        """How many tasks of a job are in each state."""
        return self.read(lambda connection: count_tasks(connection, job_id))

    def tasks(
        self, job_id: str, *, states: Sequence[TaskState] = (), after: int = 0, limit: int | None = None
    ) -> list[Task]:
        """The tasks of a job in their order, from the one that follows number `after`."""
        query = select(tasks).where(tasks.c.job_id == job_id, tasks.c.number > after)
        query = query.order_by(tasks.c.number).limit(limit)
        if states:
            query = query.where(tasks.c.state.in_(states))
        return self.read(lambda connection: [to_task(row) for row in connection.execute(query)])

    def attempts(
        self, job_id: str, number: int | None = None, *, after: str = "", limit: int | None = None
    ) -> list[Attempt]:
        """The attempts at a job's tasks (or at one of them), in the order in which they were claimed."""
        query = ANY_ATTEMPT.where(attempts.c.job_id == job_id, attempts.c.id > after)
        query = query.order_by(attempts.c.id).limit(limit)
        if number is not None:
            query = query.where(attempts.c.number == number)
        return self.read(lambda connection: [to_attempt(row) for row in connection.execute(query)])

    def attempt(self, attempt_id: str) -> Attempt:
        """An attempt by its id. Raises NotFound."""
        row = self.read(lambda connection: connection.execute(ANY_ATTEMPT.where(attempts.c.id == attempt_id)).first())
        if row is None:
            raise NotFound(f"There is no attempt {attempt_id!r}.")
        return to_attempt(row)

    def running_attempts(self, job_id: str) -> list[Attempt]:
        query = ANY_ATTEMPT.where(attempts.c.job_id == job_id, attempts.c.state == AttemptState.RUNNING)
        return self.read(lambda connection: [to_attempt(row) for row in connection.execute(query)])

    def seconds_to_retry(self, job_id: str) -> float | None:
        """Seconds until the first queued task may be tried again; None: one may be claimed now, or none is queued."""

        def reading(connection: Connection) -> float | None:
            queued = (tasks.c.job_id == job_id) & (tasks.c.state == TaskState.QUEUED)
            now = self.now(connection)
            at_once_first = (tasks.c.not_before.is_not(None), tasks.c.not_before)
            query = select(tasks.c.not_before).where(queued).order_by(*at_once_first).limit(1)
            row = connection.execute(query).first()
            wait_s = (row.not_before - now).total_seconds() if row and row.not_before else 0.0
            return wait_s if wait_s > 0 else None

        return self.read(reading)

    def outputs(self, job_id: str, *, after: int = 0, limit: int = 1000) -> tuple[list[Output], int]:
        """Outputs in the order in which they were published, and where to go on."""
        query = select(outputs).where(outputs.c.job_id == job_id, outputs.c.id > after).order_by(outputs.c.id)
        rows = self.read(lambda connection: connection.execute(query.limit(limit)).all())
        return [to_output(row) for row in rows], (rows[-1].id if rows else after)

    def latest_outputs(self, job_id: str, limit: int) -> list[Output]:
        """What was published last, the newest first."""
        query = select(outputs).where(outputs.c.job_id == job_id).order_by(outputs.c.id.desc()).limit(limit)
        return self.read(lambda connection: [to_output(row) for row in connection.execute(query)])

    def outputs_of_task(self, job_id: str, number: int) -> list[Output]:
        """What a task has published."""
        query = select(outputs).where(outputs.c.job_id == job_id, outputs.c.number == number).order_by(outputs.c.id)
        return self.read(lambda connection: [to_output(row) for row in connection.execute(query)])

    def output(self, job_id: str, number: int, name: str) -> Output:
        """The output of that name of a task. Raises NotFound."""
        for output in self.outputs_of_task(job_id, number):
            if output.name == name:
                return output
        raise NotFound(f"Task {number} of job {job_id} has no output {name!r}.")

    def count_outputs(self, job_id: str) -> int:
        """How many outputs a job has published."""
        return self.read(lambda connection: read_counts(connection, [job_id])[job_id].outputs)

    def job_inputs(self, job_id: str) -> list[Input]:
        """The files that a job brings beside its model."""
        query = select(job_inputs).where(job_inputs.c.job_id == job_id)
        rows = self.read(lambda connection: connection.execute(query).all())
        return [Input(row.path, row.digest, row.size) for row in rows]

    def waits_for(self, job_id: str) -> list[Job]:
        """The jobs that have to end, or to succeed, before this one starts."""
        query = select(jobs).join(job_dependencies, job_dependencies.c.after_id == jobs.c.id)
        query = query.where(job_dependencies.c.job_id == job_id, ~OVER)
        return self.read(lambda connection: [to_job(row) for row in connection.execute(query)])

    def _add_job(
        self, connection: Connection, job_id: str, new: NewJob, actor: Actor, limits: Mapping[Holder, Limits]
    ) -> tuple[Job, bool]:
        require_enabled(connection, actor)
        request = _request_digest(new)
        earlier = self._same_key(connection, new, actor)
        if earlier is not None:
            if earlier.request_digest != request:
                raise Conflict(hint=f"It was used for job {earlier.id}. Use a new key for a new request.")
            return to_job(earlier), False
        task_count = len(FrameSet.parse(new.frames)) * len(new.cameras)
        require_work(connection, limits, jobs=1, tasks=task_count)
        sum_up_ended(connection, limits, self.now(connection))
        require_storage(connection, limits)
        model = _model_that_stays(connection, new.model_id)
        open_dependencies = self._open_dependencies(connection, new)
        row = {
            **{key: value for key, value in asdict(new).items() if key in jobs.c and key != "frames"},
            "id": job_id,
            "state": JobState.PAUSED if new.paused else JobState.QUEUED,
            "model": model,
            "options": new.options.as_document(),
            "frames": new.frames,
            "cameras": list(new.cameras),
            "requirements": new.requirements.as_document() if new.requirements else None,
            "requirement_key": new.requirements.key,
            "owner": actor.name,
            "serial": 1,
            "nudges": 0,
            "created_at": self.now(connection),
            "notes": [],
            "request_digest": request,
            "task_count": task_count,
        }
        connection.execute(jobs.insert(), row)
        state = TaskState.BLOCKED if open_dependencies else TaskState.QUEUED
        rows = _task_rows(new)
        while batch := list(islice(rows, _BATCH)):
            insert_tasks(connection, job_id, batch, state)
        if new.inputs:
            connection.execute(job_inputs.insert(), [{"job_id": job_id, **asdict(each)} for each in new.inputs])
            use_uploads(connection, actor.name, (each.digest for each in new.inputs))
        _link(connection, job_id, new)
        self.audit(connection, actor, "job.submit", job_id, model=row["model"], frames=new.frames)
        return to_job(connection.execute(select(jobs).where(jobs.c.id == job_id)).one()), True

    def _same_key(self, connection: Connection, new: NewJob, actor: Actor) -> Any:
        if new.idempotency_key is None:
            return None
        query = select(jobs).where(jobs.c.owner == actor.name, jobs.c.idempotency_key == new.idempotency_key)
        return connection.execute(query).first()

    def _open_dependencies(self, connection: Connection, new: NewJob) -> bool:
        if not new.after and not new.after_any:
            return False
        named = select(jobs.c.id, jobs.c.state).where(jobs.c.id.in_({*new.after, *new.after_any}))
        states = {row.id: row.state for row in connection.execute(named)}
        unfinished = any(states.get(job_id) not in ENDED_JOB for job_id in new.after_any)
        return unfinished or any(states.get(job_id) != JobState.SUCCEEDED for job_id in new.after)


def _model_that_stays(connection: Connection, model_id: str) -> str:
    """`NAME@VERSION` of the model, which nobody removes before this transaction ends. Raises NotFound."""
    query = select(models.c.name, models.c.version).where(models.c.id == model_id)
    row = connection.execute(query.with_for_update(read=True)).first()
    if row is None:
        raise NotFound(f"Model {model_id} was removed meanwhile.", hint="`renderctl upload` adds it again.")
    return f"{row.name}@{row.version}"


def _link(connection: Connection, job_id: str, new: NewJob) -> None:
    """Have the job wait for others, none of which is removed before this transaction ends. Raises NotFound.

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


def find_row(connection: Connection, table: Any, noun: str, ref: str, sight: Sight) -> Any:
    """A row by its id, a unique beginning of it, or its name when that is unique. Raises NotFound."""
    there = select(table).where(table.c.removed_at.is_(None), *visible(table, sight))
    found = connection.execute(there.where(table.c.id == ref)).all()
    if not found and ref:
        found = connection.execute(there.where(table.c.id >= ref, table.c.id < f"{ref}~").limit(6)).all()
        found = found or connection.execute(there.where(table.c.name == ref).limit(6)).all()
    if len(found) == 1:
        return found[0]
    if found:
        listed = ", ".join(f"{row.id} ({row.name}, {row.state})" for row in found)
        raise NotFound(f"{ref!r} means more than one {noun}.", hint=f"Say which by its id: {listed}")
    recent = connection.execute(there.order_by(table.c.id.desc()).limit(5)).all()
    listed = ", ".join(f"{row.id} ({row.name})" for row in recent)
    raise NotFound(
        f"There is no {noun} {ref!r}.", hint=f"The latest: {listed}" if listed else f"There is no {noun} yet."
    )


def _task_rows(new: NewJob) -> Iterator[dict[str, Any]]:
    number = 0
    for frame in FrameSet.parse(new.frames):
        for camera in new.cameras:
            number += 1
            yield {"number": number, "frame": frame, "camera": camera, "attempts": 0}


def _request_digest(new: NewJob) -> str:
    request = {**asdict(new), "options": new.options.as_document(), "idempotency_key": None, "bound_to": None}
    if not new.after_any:
        del request["after_any"]  # keys that were used before there was such a thing stay good
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
