"""Counts of jobs: whatever is done, they are what the rows come to, and nobody counts the rows to read them."""

import random
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, event, func, select

import renderctl
from renderctl.core.attempts import Completion, Cost
from renderctl.core.errors import AttemptSuperseded, Conflict, IllegalTransition, NotFound
from renderctl.core.jobs import Attempt, Failure, Fault, Job, Output
from renderctl.farm import Farm
from renderctl.farm.admin.sweep import sweep
from renderctl.farm.jobs.status import job_document
from renderctl.repository import migrations as migrated
from renderctl.repository.counts import SHARDS, count_change, shard_of
from renderctl.repository.database.engine import open_engine
from renderctl.repository.schema.counts import job_counts
from renderctl.repository.schema.jobs import tasks
from tests.databases import farm_on
from tests.fakes import FakeClock
from tests.farms import ACTOR, close, given_job, given_model, given_worker

WORKERS = ("w1", "w2", "w3")


class Operators:
    """Workers and people who act at random on a few jobs."""

    def __init__(self, farm: Farm, seed: int, jobs: list[Job]) -> None:
        self.farm, self.random, self.jobs = farm, random.Random(seed), jobs
        self.held: list[Attempt] = []
        self.slots = {name: given_worker(farm, name) for name in WORKERS}
        self.actions: tuple[Callable[[Job], object], ...] = (
            *(self.claim, self.claim, self.claim, self.start, self.complete, self.complete, self.fail, self.release),
            *(self.cancel_attempt, self.cancel, self.retry, self.retry_frames, self.pause, self.resume, self.restart),
            *(self.settle, self.expire, self.remove),
        )

    def act(self) -> str:
        """One action of somebody; which."""
        action = self.random.choice(self.actions)
        with suppress(IllegalTransition, NotFound, AttemptSuperseded, Conflict):
            action(self.random.choice(self.jobs))
        return action.__name__

    def claim(self, job: Job) -> None:
        claim = self.farm.repository.attempts.claim(job.id, self.random.choice([*self.slots.values()]), limit=3)
        self.held += claim.attempts

    def some(self) -> list[Attempt]:
        """Attempts of one job: also such as have ended, or were taken away long ago."""
        if not self.held:
            return []
        attempt = self.random.choice(self.held)
        return [item for item in self.held if item.job_id == attempt.job_id and self.random.random() < 0.5]

    def start(self, _job: Job) -> None:
        for attempt in self.some():
            self.farm.repository.attempts.start(attempt)

    def complete(self, _job: Job) -> None:
        if attempts := self.some():
            count = self.random.randint(1, 2)
            images = [Output(f"{number}.png", "a" * 64, self.random.randint(1, 99)) for number in range(count)]
            self.farm.repository.attempts.complete_all(
                [Completion(attempt, tuple(images), Cost(1.0)) for attempt in attempts]
            )

    def fail(self, _job: Job) -> None:
        for attempt in self.some():
            whole_job = self.random.random() < 0.1
            fault = self.random.choice([Fault.SCENE, Fault.FARM])
            self.farm.repository.attempts.fail(attempt, Failure(fault, "it broke", whole_job), Cost())

    def release(self, _job: Job) -> None:
        self.farm.repository.attempts.release(self.some())

    def cancel_attempt(self, _job: Job) -> None:
        for attempt in self.some():
            self.farm.repository.attempts.cancel(attempt)

    def cancel(self, job: Job) -> None:
        self.farm.repository.jobs.cancel(job.id, actor=ACTOR)

    def retry(self, job: Job) -> None:
        self.farm.repository.jobs.retry(job.id, actor=ACTOR)

    def retry_frames(self, job: Job) -> None:
        self.farm.repository.jobs.retry(job.id, actor=ACTOR, frames=[1, 2, 5])

    def pause(self, job: Job) -> None:
        self.farm.repository.jobs.pause(job.id, actor=ACTOR)

    def resume(self, job: Job) -> None:
        self.farm.repository.jobs.resume(job.id, actor=ACTOR)

    def restart(self, _job: Job) -> None:
        name = self.random.choice(WORKERS)
        self.slots[name] = given_worker(self.farm, name, start=f"{self.random.random()}")

    def settle(self, job: Job) -> None:
        self.farm.repository.jobs.finish_if_done(job.id)

    def expire(self, _job: Job) -> None:
        if isinstance(self.farm.clock, FakeClock):
            self.farm.clock.advance(seconds=self.random.choice([0.1, 3.0]))
        self.farm.repository.recovery.expire_silent()

    def remove(self, job: Job) -> None:
        if self.random.random() < 0.2:
            self.farm.repository.jobs.remove(job.id, actor=ACTOR)
            self.farm.repository.recovery.delete_removed_batch()


def given_jobs(farm: Farm) -> list[Job]:
    """Jobs that wait for nothing, and one that waits for another."""
    model = given_model(farm)
    first = given_job(farm, "1-6", model=model, cameras=("Camera", "Side"))
    return [first, given_job(farm, "1-4", model=model), given_job(farm, "1-5", model=model, after=(first.id,))]


def counted(farm: Farm, job: Job) -> dict[str, int]:
    """What the task rows of a job come to."""
    query = select(tasks.c.state, func.count()).where(tasks.c.job_id == job.id).group_by(tasks.c.state)
    return {row[0]: row[1] for row in farm.repository.database.read(lambda connection: connection.execute(query).all())}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_after_every_action_of_anybody_counts_are_what_the_rows_come_to(farm: Farm, seed: int) -> None:
    operators = Operators(farm, seed, given_jobs(farm))
    for _ in range(40):
        done = operators.act()
        assert farm.repository.count_checks.find_wrong() == [], done


def test_counts_of_tasks_are_read_as_the_rows_have_them(farm: Farm) -> None:
    operators = Operators(farm, 7, given_jobs(farm)[:1])
    for _ in range(40):
        operators.act()
        counts = farm.repository.tasks.counts(operators.jobs[0].id)
        assert {state: getattr(counts, state) for state in counted(farm, operators.jobs[0])} == counted(
            farm, operators.jobs[0]
        )


def test_the_counts_of_a_job_go_with_it(farm: Farm) -> None:
    job = given_job(farm, "1-3")
    farm.repository.attempts.claim(job.id, given_worker(farm), limit=2)
    farm.repository.jobs.cancel(job.id, actor=ACTOR)
    for attempt in farm.repository.attempts.of_job(job.id):
        farm.repository.attempts.cancel(attempt)
    farm.repository.jobs.remove(job.id, actor=ACTOR)
    while farm.repository.recovery.delete_removed_batch():
        pass
    assert farm.repository.database.read(lambda connection: connection.execute(select(job_counts)).all()) == []


def test_a_job_that_was_taken_back_leaves_no_counts(farm: Farm) -> None:
    job = given_job(farm, "1-3")
    farm.repository.jobs.discard(job.id, "its scene has no camera", actor=ACTOR)
    assert farm.repository.database.read(lambda connection: connection.execute(select(job_counts)).all()) == []


def test_a_transaction_that_is_undone_counts_nothing(farm: Farm) -> None:
    job = given_job(farm, "1-3")
    slot = given_worker(farm)

    def crash(_connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        if "INTO job_count" in statement:
            raise KeyboardInterrupt

    event.listen(farm.repository.database.engine, "after_cursor_execute", crash)
    with pytest.raises(KeyboardInterrupt):
        farm.repository.attempts.claim(job.id, slot)
    event.remove(farm.repository.database.engine, "after_cursor_execute", crash)
    assert farm.repository.tasks.counts(job.id).queued == 3
    assert farm.repository.count_checks.find_wrong() == []


def test_what_was_rendered_anew_is_counted_once(farm: Farm) -> None:
    job, slot = given_job(farm, "1"), given_worker(farm)
    for size in (10, 7):
        attempt = farm.repository.attempts.claim(job.id, slot).attempts[0]
        farm.repository.attempts.complete(attempt, [Output("0001.png", "a" * 64, size)], Cost())
        farm.repository.jobs.finish_if_done(job.id)
        assert farm.repository.outputs.count(job.id) == 1
        assert farm.repository.jobs.remove(job.id, actor=ACTOR, dry_run=True).output_bytes == size
        farm.repository.jobs.retry(job.id, actor=ACTOR, frames=[1])


def test_a_sweep_puts_wrong_counts_right_and_says_so(farm: Farm, caplog: pytest.LogCaptureFixture) -> None:
    job = given_job(farm, "1-3")
    farm.repository.database.write(lambda connection: count_change(connection, job.id, {"queued": 2, "outputs": -1}))
    assert [str(wrong) for wrong in farm.repository.count_checks.find_wrong()] == [
        f"job {job.id}: queued -2, outputs +1"
    ]
    sweep(farm, "w1")
    assert farm.repository.count_checks.find_wrong() == []
    assert farm.repository.tasks.counts(job.id).queued == 3
    assert f"job {job.id}: queued -2, outputs +1" in caplog.text
    caplog.clear()
    sweep(farm, "w1")
    assert "counts" not in caplog.text


def test_a_large_job_is_compared_in_pieces(farm: Farm) -> None:
    job = given_jobs(farm)[0]
    operators = Operators(farm, 5, [job])
    for _ in range(30):
        operators.act()
    assert farm.repository.count_checks.find_wrong([job.id], at_once=5) == []
    farm.repository.database.write(lambda connection: count_change(connection, job.id, {"queued": 2, "outputs": -1}))
    wrong = farm.repository.count_checks.find_wrong([job.id], at_once=5)
    assert [dict(job.missing) for job in wrong] == [{"queued": -2, "outputs": 1}]


def test_in_time_every_job_is_compared(farm: Farm) -> None:
    model = given_model(farm)
    jobs = [given_job(farm, "1-2", model=model) for _ in range(11)]
    for job in jobs[::2]:
        farm.repository.jobs.cancel(job.id, actor=ACTOR)
    for job in jobs:
        farm.repository.database.write(partial(count_change, job_id=job.id, changes={"queued": 1}))
    corrected = [wrong.job_id for _ in range(8) for wrong in farm.repository.count_checks.check_sample()]
    assert sorted(corrected) == sorted(job.id for job in jobs)


def test_counts_are_corrected_once_by_many_at_a_time(tmp_path: Path, database_url: str) -> None:
    farm = farm_on(database_url, tmp_path)
    job = given_job(farm, "1-3")
    farm.repository.database.write(lambda connection: count_change(connection, job.id, {"queued": 2}))
    threads = [threading.Thread(target=farm.repository.count_checks.correct, args=([job.id],)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert farm.repository.count_checks.find_wrong() == []
    close(farm)


@pytest.mark.slow
def test_at_work_at_the_same_time_they_count_right(tmp_path: Path, database_url: str) -> None:
    farm = farm_on(database_url, tmp_path)
    jobs = given_jobs(farm)
    errors: list[BaseException] = []

    def work(seed: int) -> None:
        operators = Operators(farm, seed, jobs)
        operators.actions = tuple(action for action in operators.actions if action.__name__ != "remove")
        try:
            for _ in range(25):
                operators.act()
                assert (
                    farm.repository.count_checks.find_wrong() == []
                )  # at any moment, whoever is in the midst of something
        except BaseException as error:  # raised again in the test's own thread
            errors.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    close(farm)


def statements_of(farm: Farm, work: Callable[[], object]) -> list[str]:
    """What the database was asked meanwhile."""
    statements: list[str] = []

    def note(_connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement.replace("`", "").replace('"', ""))

    event.listen(farm.repository.database.engine, "before_cursor_execute", note)
    work()
    event.remove(farm.repository.database.engine, "before_cursor_execute", note)
    return statements


def test_whoever_reads_counts_looks_at_no_task(farm: Farm) -> None:
    jobs = given_jobs(farm)
    slot = given_worker(farm)
    attempts = farm.repository.attempts.claim(jobs[0].id, slot, limit=3).attempts
    farm.repository.attempts.complete(attempts[0], [Output("0001.png", "a" * 64, 10)], Cost(1.0))
    readers: list[Callable[[], object]] = [
        lambda: job_document(farm, jobs[0].id),
        lambda: farm.repository.summaries.newest(),
        lambda: farm.repository.tasks.counts(jobs[0].id),
        lambda: farm.repository.outputs.count(jobs[0].id),
        lambda: farm.repository.metrics.measure(),
    ]
    for reader in readers:
        for statement in statements_of(farm, reader):
            assert not re.search("FROM task|task.state", statement), statement
            assert "count(*)" not in statement or " output" not in statement, statement


def test_many_jobs_are_summed_up_with_as_many_questions_as_one(farm: Farm) -> None:
    model, slot = given_model(farm), given_worker(farm)
    jobs = [given_job(farm, "1-4", model=model) for _ in range(5)]
    for number, job in enumerate(jobs):
        attempts = farm.repository.attempts.claim(job.id, slot, limit=3).attempts
        for attempt in attempts[:2]:
            farm.repository.attempts.start(attempt)
            farm.repository.attempts.complete(
                attempt, [Output("1.png", "a" * 64, 10, image=f"i{number}")], Cost(1.0 + number)
            )
    one = statements_of(farm, lambda: farm.repository.summaries.newest(limit=1))
    many = statements_of(farm, farm.repository.summaries.newest)
    assert len(many) == len(one)
    shown = {item.job.id: (item.frame_seconds, item.image) for item in farm.repository.summaries.newest()}
    assert shown == {job.id: (1.0 + number, f"i{number}") for number, job in enumerate(jobs)}


def test_a_transaction_writes_its_counts_with_one_statement_its_last(farm: Farm) -> None:
    job, slot = given_job(farm, "1-6"), given_worker(farm)
    claim = statements_of(farm, lambda: farm.repository.attempts.claim(job.id, slot, limit=4))
    attempts = farm.repository.attempts.of_job(job.id)
    images = [Completion(attempt, (Output(f"{attempt.frame}.png", "a" * 64, 10),), Cost(1.0)) for attempt in attempts]
    complete = statements_of(farm, lambda: farm.repository.attempts.complete_all(images))
    for statements in (claim, complete):
        counting = [statement for statement in statements if "INTO job_count" in statement]
        assert counting == statements[-1:], statements


@pytest.mark.slow
def test_each_worker_counts_in_its_own_shard(tmp_path: Path, ready_mysql_url: str) -> None:
    farm = farm_on(ready_mysql_url, tmp_path)
    job = given_job(farm, "1-6")
    for name in WORKERS:
        farm.repository.attempts.claim(job.id, given_worker(farm, name))
    shards = farm.repository.database.read(lambda connection: set(connection.scalars(select(job_counts.c.shard))))
    assert shards == {0, *map(shard_of, WORKERS)}
    assert {shard_of(f"w{number}") for number in range(100)} == set(range(SHARDS))
    close(farm)


@pytest.mark.slow
def test_an_older_database_is_counted_when_it_is_upgraded(tmp_path: Path, new_database_url: str) -> None:
    farm = farm_on(new_database_url, tmp_path)
    operators = Operators(farm, 3, given_jobs(farm))
    operators.actions = tuple(action for action in operators.actions if action.__name__ != "remove")
    for _ in range(60):
        operators.act()
    counts = [farm.repository.tasks.counts(job.id) for job in operators.jobs]
    close(farm)
    engine = open_engine(farm.repository.database.engine.url.render_as_string(hide_password=False), patient=True)
    config = Config()
    config.set_main_option("script_location", str(Path(migrated.__file__).parent))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0015")
    migrated.upgrade(engine)
    assert farm.repository.count_checks.find_wrong() == []
    assert [farm.repository.tasks.counts(job.id) for job in operators.jobs] == counts
    engine.dispose()
    close(farm)


def test_no_statement_gives_a_task_a_state_but_those_that_count() -> None:
    """Who adds one elsewhere has counts that drift."""
    changing = re.compile(r"\btasks\s*\.(insert|update|delete)\(")
    sources = Path(renderctl.__file__).parent
    found = {str(source.relative_to(sources)): changing.findall(source.read_text()) for source in sources.rglob("*.py")}
    assert len(found.pop("repository/jobs/task_states.py")) == 5
    assert {name: calls for name, calls in found.items() if calls} == {"repository/recovery.py": ["update"]}  # of times
    inserting = [source.name for source in sources.rglob("*.py") if "INSERT INTO task " in source.read_text()]
    assert inserting == ["task_rows.py"]  # for `task_states`
