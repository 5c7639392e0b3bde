"""Jobs, and what they consist of: found, listed, counted."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, select

from renderctl.core.errors import NotFound
from renderctl.core.jobs import Attempt, Input, Job, Output, Task, TaskCounts
from renderctl.core.permissions import ALL, Visibility
from renderctl.core.states import AttemptState, TaskState
from renderctl.repository.attempts.claim_times import due_at
from renderctl.repository.database import Database
from renderctl.repository.jobs.bulk import OVER
from renderctl.repository.jobs.counts import count_tasks, read_counts
from renderctl.repository.schema.jobs import attempts, job_dependencies, job_inputs, jobs, outputs, tasks
from renderctl.repository.schema.mapping import (
    ANY_ATTEMPT,
    ATTEMPTS_IN_ORDER,
    OUTPUTS_IN_ORDER,
    to_attempt,
    to_job,
    to_output,
    to_task,
)
from renderctl.repository.visibility import visible


class Submitting(Database):
    """Jobs, and what they consist of."""

    def find_job(self, ref: str, *, sight: Visibility = ALL) -> Job:
        """A job by its id, a unique beginning of it, or its name when that is unique. Raises NotFound."""
        return self.read(lambda connection: to_job(find_row(connection, jobs, "job", ref, sight)))

    def visible_jobs(self, ids: Iterable[str], sight: Visibility) -> set[str]:
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
        self,
        job_id: str,
        number: int | None = None,
        *,
        tasks_between: tuple[int, int] | None = None,
        after: str = "",
        limit: int | None = None,
    ) -> list[Attempt]:
        """The attempts at a job's tasks, in the order in which they were claimed.

        At all of them, at one, or at those between two numbers (the first and the last).
        """
        query = ATTEMPTS_IN_ORDER
        if number is not None:
            query = ANY_ATTEMPT.where(attempts.c.number == number).order_by(attempts.c.id)
        elif tasks_between is not None:
            query = ANY_ATTEMPT.with_hint(attempts, "FORCE INDEX (ix_attempt_task)", "mysql")
            query = query.where(attempts.c.number.between(*tasks_between)).order_by(attempts.c.id)
        query = query.where(attempts.c.job_id == job_id).limit(limit)
        if after:
            query = query.where(attempts.c.id > after)
        return self.read(lambda connection: [to_attempt(row) for row in connection.execute(query)])

    def attempt(self, attempt_id: str) -> Attempt:
        """An attempt by its id. Raises NotFound."""
        row = self.read(lambda connection: connection.execute(ANY_ATTEMPT.where(attempts.c.id == attempt_id)).first())
        if row is None:
            raise NotFound(f"There is no attempt {attempt_id!r}.")
        return to_attempt(row)

    def running_attempts(self, job_id: str, *, after: int = 0, limit: int | None = None) -> list[Attempt]:
        """What of a job is being rendered, in the order of its tasks, from the one that follows number `after`."""
        query = ANY_ATTEMPT.where(attempts.c.job_id == job_id, attempts.c.state == AttemptState.RUNNING)
        query = query.where(attempts.c.number > after).order_by(attempts.c.number).limit(limit)
        return self.read(lambda connection: [to_attempt(row) for row in connection.execute(query)])

    def seconds_to_retry(self, job_id: str) -> float | None:
        """Seconds until the first queued task may be tried again; None: one may be claimed now, or none is queued."""

        def reading(connection: Connection) -> float | None:
            now = self.now(connection)
            due = due_at(connection, job_id, now)
            return (due - now).total_seconds() if due and due > now else None

        return self.read(reading)

    def outputs(self, job_id: str, *, after: int = 0, limit: int = 1000) -> tuple[list[Output], int]:
        """Outputs in the order in which they were published, and where to go on."""
        query = OUTPUTS_IN_ORDER.where(outputs.c.job_id == job_id)
        if after:
            query = query.where(outputs.c.id > after)
        rows = self.read(lambda connection: connection.execute(query.limit(limit)).all())
        return [to_output(row) for row in rows], (rows[-1].id if rows else after)

    def latest_outputs(self, job_id: str, limit: int) -> list[Output]:
        """What was published last, the newest first."""
        query = OUTPUTS_IN_ORDER.where(outputs.c.job_id == job_id).order_by(None).order_by(outputs.c.id.desc())
        return self.read(lambda connection: [to_output(row) for row in connection.execute(query.limit(limit))])

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


def find_row(connection: Connection, table: Any, noun: str, ref: str, sight: Visibility) -> Any:
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
