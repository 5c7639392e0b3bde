"""Attempts: claimed, started, completed, failed, given back. The id of an attempt is its fencing token."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, select

from renderctl.core.attempts import Claim, Claimant, Completion, Cost
from renderctl.core.errors import AttemptSuperseded, NotFound
from renderctl.core.ids import new_token
from renderctl.core.jobs import Attempt, Failure, Job, Output
from renderctl.core.states import AttemptState
from renderctl.repository.attempts import claim_query, claims, completion, lifecycle
from renderctl.repository.attempts.claim_query import ClaimContext, claim_time
from renderctl.repository.attempts.lifecycle import give_back
from renderctl.repository.attempts.requirement_keys import RequirementKeys
from renderctl.repository.database import Database, Part, db_now, read, write
from renderctl.repository.jobs.claim_times import bring_forward
from renderctl.repository.jobs.tasks import Tasks
from renderctl.repository.schema.jobs import attempts, jobs
from renderctl.repository.schema.mappers import ANY_ATTEMPT, ATTEMPTS_IN_ORDER, to_attempt, to_job


class Attempts(Part):
    """The attempts at tasks."""

    def __init__(self, database: Database, tasks: Tasks) -> None:
        super().__init__(database)
        self._tasks = tasks
        self._requirement_keys = RequirementKeys()

    def claim(self, job_id: str, claimant: Claimant, *, limit: int = 1, serial: int | None = None) -> Claim:
        """Claim up to `limit` tasks of the job for this slot; with `serial`: only if that is the job's current ticket.

        An empty claim means that the job has nothing for the slot. Repeating it after a lost answer returns the same
        claim.
        """
        ids = [new_token() for _ in range(limit)]

        def claiming(connection: Connection) -> Claim:
            context = ClaimContext(claimant, claim_time(connection, self._database.heartbeat_limit_s), job_id)
            return claims.claim(connection, context, ids, serial)

        return self._database.write(claiming, recover=lambda connection: claims.claimed_before(connection, job_id, ids))

    @read
    def claimable_jobs(self, connection: Connection, claimant: Claimant, *, limit: int = 5) -> list[str]:
        """Return the ids of jobs with something due that suit the worker, by priority, then the one served longest ago.

        A claim may still find nothing for this worker.
        """
        suitable = self._requirement_keys.suitable(connection, claimant)
        if not suitable:
            return []
        context = ClaimContext(claimant, claim_time(connection, self._database.heartbeat_limit_s))
        waiting = connection.execute(claim_query.CLAIMABLE_JOBS, context.parameters(limit=limit, suitable=suitable))
        return list(waiting.scalars())

    @write
    def leave_job(self, connection: Connection, job_id: str) -> Job:
        """Note that a slot has left the job, which may have waited for that: idle slots look at it. Raises NotFound."""
        bring_forward(connection, job_id, db_now(connection))
        row = connection.execute(select(jobs).where(jobs.c.id == job_id, jobs.c.removed_at.is_(None))).first()
        if row is None:
            raise NotFound(f"There is no job {job_id!r}.")
        return to_job(row)

    @write
    def start(self, connection: Connection, attempt: Attempt) -> bool:
        """Note that Blender works on the attempt; return False if its task belongs to another attempt by now."""
        return lifecycle.start(connection, attempt)

    def complete(
        self,
        attempt: Attempt,
        results: Sequence[Output],
        cost: Cost,
        *,
        starting: Sequence[Attempt] = (),
        since: datetime | None = None,
    ) -> None:
        """Do `complete_all` for one attempt. Raises AttemptSuperseded, BlobCollected."""
        if self.complete_all([Completion(attempt, tuple(results), cost)], starting=starting, since=since):
            raise AttemptSuperseded(f"Task {attempt.task_id} belongs to another attempt by now.")

    @write
    def complete_all(
        self,
        connection: Connection,
        completions: Sequence[Completion],
        *,
        starting: Sequence[Attempt] = (),
        since: datetime | None = None,
    ) -> frozenset[str]:
        """Publish the outputs of attempts of one job and end their tasks; note that Blender works on those in
        `starting`.

        Returns the ids of attempts that no longer own their task: nothing of them is published. Raises BlobCollected,
        and publishes nothing, if a blob was collected `since` it was leased (None: since the tasks were claimed).
        Repeated for the same attempts it changes nothing.
        """
        return completion.complete_all(connection, completions, starting, since)

    def fail(self, attempt: Attempt, failure: Failure, cost: Cost) -> float | None:
        """End the attempt with a failure; return the seconds until its task is tried again, None if it has failed for
        good.

        A failure of the scene that would hit every task alike ends the whole job.
        """
        delay_s = self._database.write(lambda connection: lifecycle.fail(connection, attempt, failure, cost))
        if delay_s is None and failure.whole_job:
            self._tasks.cancel_waiting(attempt.job_id)
        return delay_s

    def release(self, claimed: Sequence[Attempt]) -> None:
        """Give back attempts that are not started, without charge; their tasks are canceled if the job was."""

        def writing(connection: Connection) -> None:
            for attempt in claimed:
                give_back(connection, attempt, AttemptState.RELEASED, "given back")

        if claimed:
            self._database.write(writing)

    @write
    def cancel(self, connection: Connection, attempt: Attempt) -> None:
        """End an attempt that was told to stop, or whose worker leaves: its task is queued again or canceled."""
        give_back(connection, attempt, AttemptState.CANCELED, "stopped")

    def get(self, attempt_id: str) -> Attempt:
        """Return the attempt with this id. Raises NotFound."""
        row = self._database.read(
            lambda connection: connection.execute(ANY_ATTEMPT.where(attempts.c.id == attempt_id)).first()
        )
        if row is None:
            raise NotFound(f"There is no attempt {attempt_id!r}.")
        return to_attempt(row)

    @read
    def of_job(
        self,
        connection: Connection,
        job_id: str,
        number: int | None = None,
        *,
        tasks_between: tuple[int, int] | None = None,
        after: str = "",
        limit: int | None = None,
    ) -> list[Attempt]:
        """Return attempts at a job's tasks in the order of their claims.

        At all tasks, at the one with this `number`, or at those `tasks_between` two numbers, both included.
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
        return [to_attempt(row) for row in connection.execute(query)]

    @read
    def running(
        self, connection: Connection, job_id: str, *, after: int = 0, limit: int | None = None
    ) -> list[Attempt]:
        """Return the running attempts of a job by task number, from the one after number `after`."""
        query = ANY_ATTEMPT.where(attempts.c.job_id == job_id, attempts.c.state == AttemptState.RUNNING)
        query = query.where(attempts.c.number > after).order_by(attempts.c.number).limit(limit)
        return [to_attempt(row) for row in connection.execute(query)]
