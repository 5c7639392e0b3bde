"""Many tasks of a job are canceled, queued again or freed by few statements, each as short as for one task."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event, select

from renderctl.core.attempts import Cost
from renderctl.core.jobs import Job, TaskCounts
from renderctl.core.models import Model
from renderctl.core.states import JobState, TaskState
from renderctl.farm import Farm
from renderctl.repository.database.batches import FIRST_ROWS
from renderctl.repository.jobs.task_states import move_first, move_tasks
from renderctl.repository.schema.jobs import jobs, tasks
from tests.farms import ACTOR, close, given_job, given_model, given_worker, make_farm

MANY = 2 * FIRST_ROWS + 7


class Statements:
    """What the farm has asked of its database."""

    def __init__(self, farm: Farm) -> None:
        self.asked: list[tuple[str, Any]] = []
        self.commits = 0
        engine = farm.repository.database.engine
        self._listeners = (("before_cursor_execute", self._execute), ("commit", self._commit))
        for name, listener in self._listeners:
            event.listen(engine, name, listener)
        self._engine = engine

    def _execute(self, _c: Connection, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        self.asked.append((statement, parameters))

    def _commit(self, _c: Connection) -> None:
        self.commits += 1

    def end(self) -> None:
        for name, listener in self._listeners:
            event.remove(self._engine, name, listener)

    @property
    def longest(self) -> int:
        """Parameters of a statement, at most."""
        return max(len(parameters) for _, parameters in self.asked)


@contextmanager
def watched(farm: Farm) -> Iterator[Statements]:
    statements = Statements(farm)
    yield statements
    statements.end()


def plans(farm: Farm, statements: Statements) -> list[str]:
    """How SQLite goes about them."""

    def reading(connection: Connection) -> list[str]:
        found = []
        for statement, parameters in statements.asked:
            if statement.startswith(("SELECT", "UPDATE")) and "task" in statement:
                rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
                found += [str(row.detail) for row in rows]
        return found

    return farm.repository.database.read(reading)


def with_states(farm: Farm, job: Job, changes: dict[TaskState, Sequence[int]]) -> None:
    def writing(connection: Connection) -> None:
        for state, numbers in changes.items():
            move_tasks(connection, job.id, numbers, TaskState.QUEUED, state)

    farm.repository.database.write(writing)


def test_cancel_and_retry_of_many_tasks_are_few_short_statements(farm: Farm) -> None:
    job = given_job(farm, f"1-{MANY}")
    for deed, left in (
        (lambda: farm.repository.jobs.cancel(job.id, actor=ACTOR), TaskCounts(canceled=MANY)),
        (lambda: farm.repository.jobs.retry(job.id, actor=ACTOR), TaskCounts(queued=MANY)),
        (lambda: farm.repository.jobs.cancel(job.id, actor=ACTOR), TaskCounts(canceled=MANY)),
        (lambda: farm.repository.jobs.retry(job.id, actor=ACTOR, frames=range(1, MANY + 1)), TaskCounts(queued=MANY)),
    ):
        with watched(farm) as statements:
            deed()
        assert farm.repository.tasks.counts(job.id) == left
        assert statements.longest < 50
        assert 3 <= statements.commits <= 8


def test_what_changes_many_tasks_is_found_by_an_index_and_never_sorted(tmp_path: Path) -> None:
    farm = make_farm(tmp_path)  # on SQLite
    job = given_job(farm, "1-300")
    with_states(farm, job, {TaskState.FAILED: range(1, 100), TaskState.CANCELED: range(100, 300)})
    slot = given_worker(farm)
    with watched(farm) as statements:
        for attempt in farm.repository.attempts.claim(job.id, slot).attempts:
            farm.repository.attempts.complete(attempt, [], Cost())
        assert farm.repository.jobs.finish_if_done(job.id) is JobState.FAILED
        farm.repository.jobs.retry(job.id, actor=ACTOR)
        farm.repository.jobs.cancel(job.id, actor=ACTOR)
        farm.repository.jobs.retry(job.id, actor=ACTOR, frames=(1, 3, 5))
    found = plans(farm, statements)
    assert found
    assert [plan for plan in found if plan.startswith("SCAN task") or "TEMP B-TREE" in plan] == []
    close(farm)


def test_only_those_in_the_state_are_moved_the_first_ones_first(farm: Farm) -> None:
    job = given_job(farm, "1-20")
    with_states(farm, job, {TaskState.FAILED: (2, 4, 5, 9, 10, 11), TaskState.SUCCEEDED: (3, 20)})

    def moving(connection: Connection) -> list[int]:
        return [
            move_first(connection, job.id, limit, TaskState.FAILED, TaskState.QUEUED, attempts=0) for limit in (4, 4, 4)
        ]

    assert farm.repository.database.write(moving) == [4, 2, 0]
    assert farm.repository.tasks.counts(job.id) == TaskCounts(queued=18, succeeded=2)
    assert farm.repository.count_checks.find_wrong() == []


def test_frames_with_gaps_are_queued_again_and_no_others(farm: Farm) -> None:
    job = given_job(farm, "1-30", cameras=("Camera", "Side"))
    farm.repository.jobs.cancel(job.id, actor=ACTOR)
    assert farm.repository.jobs.retry(job.id, actor=ACTOR, frames=(2, 3, 7, 30))[1] == 8
    query = select(tasks.c.frame).where(tasks.c.job_id == job.id, tasks.c.state == TaskState.QUEUED)
    queued = farm.repository.database.read(lambda connection: connection.scalars(query.order_by(tasks.c.number)).all())
    assert queued == [2, 2, 3, 3, 7, 7, 30, 30]
    assert farm.repository.count_checks.find_wrong() == []


def test_a_sweep_cancels_no_more_than_it_may_at_once(farm: Farm) -> None:
    job = given_job(farm, f"1-{MANY}")
    stopped = jobs.update().where(jobs.c.id == job.id).values(state=JobState.CANCELED)
    farm.repository.database.write(lambda connection: connection.execute(stopped))
    assert farm.repository.tasks.cancel_waiting(job.id, most=FIRST_ROWS + 2) == FIRST_ROWS + 2
    assert farm.repository.tasks.counts(job.id) == TaskCounts(canceled=FIRST_ROWS + 2, queued=FIRST_ROWS + 5)
    assert farm.repository.tasks.cancel_waiting(job.id) == FIRST_ROWS + 5


def test_who_waited_for_another_job_is_freed_in_batches(farm: Farm) -> None:
    model: Model = given_model(farm)
    first = given_job(farm, "1", model=model)
    waiting = given_job(farm, f"1-{MANY}", model=model, after=(first.id,))
    assert farm.repository.tasks.counts(waiting.id) == TaskCounts(blocked=MANY)
    for attempt in farm.repository.attempts.claim(first.id, given_worker(farm)).attempts:
        farm.repository.attempts.complete(attempt, [], Cost())
    with watched(farm) as statements:
        assert farm.repository.jobs.finish_if_done(first.id) is JobState.SUCCEEDED
    assert farm.repository.tasks.counts(waiting.id) == TaskCounts(queued=MANY)
    assert statements.longest < 50
    assert statements.commits >= 3
