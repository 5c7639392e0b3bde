"""What idle slots are offered: every job that has something to give, its turn in order, and no job that has nothing."""

import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, or_, select

from renderctl.core.attempts import Claimant, Cost
from renderctl.core.jobs import Failure, Fault, Job
from renderctl.core.states import TaskState
from renderctl.farm import Farm
from renderctl.repository.schema.jobs import jobs, tasks
from tests.databases import farm_on
from tests.fakes import FakeClock
from tests.farms import ACTOR, NODE, close, given_job, given_model, given_worker, wait_for

_NO = Failure(Fault.MACHINE, "no")


def offered(farm: Farm, slot: Claimant) -> list[str]:
    return farm.repository.attempts.claimable_jobs(slot, limit=1000)


def hidden(farm: Farm) -> set[str]:
    """Jobs of which something is due that no idle slot looks at."""
    engine = farm.repository.database.engine
    with engine.connect() as connection:
        now = farm.repository.time()
        due = tasks.select().where(
            tasks.c.job_id == jobs.c.id,
            tasks.c.state == TaskState.QUEUED,
            or_(tasks.c.not_before.is_(None), tasks.c.not_before <= now),
        )
        passed_over = or_(jobs.c.claimable_at.is_(None), jobs.c.claimable_at > now)
        return set(connection.scalars(select(jobs.c.id).where(passed_over, due.exists())))


def test_a_job_is_offered_while_something_of_it_is_queued(farm: Farm) -> None:
    slot, job = given_worker(farm), given_job(farm, "1-2")
    assert offered(farm, slot) == [job.id]
    claimed = farm.repository.attempts.claim(job.id, slot, limit=2).attempts
    assert offered(farm, slot) == []
    farm.repository.attempts.release(claimed[1:])
    assert offered(farm, slot) == [job.id]


def test_a_job_is_offered_again_when_the_time_to_try_has_come(farm: Farm, clock: FakeClock) -> None:
    slot, job = given_worker(farm), given_job(farm, "1")
    (attempt,) = farm.repository.attempts.claim(job.id, slot).attempts
    assert farm.repository.attempts.fail(attempt, _NO, Cost()) == 2.0
    assert offered(farm, slot) == []
    clock.advance(seconds=2.0)
    assert offered(farm, slot) == [job.id]


def test_a_job_whose_tasks_all_wait_for_their_time_is_not_looked_at_before(farm: Farm, clock: FakeClock) -> None:
    slot, job = given_worker(farm), given_job(farm, "1-3")
    attempts = farm.repository.attempts.claim(job.id, slot, limit=2).attempts
    for attempt in attempts:
        farm.repository.attempts.fail(attempt, _NO, Cost())
    assert offered(farm, slot) == [job.id]
    assert farm.repository.attempts.claim(job.id, slot).attempts
    assert offered(farm, slot) == []
    clock.advance(seconds=2.0)
    assert offered(farm, slot) == [job.id]


def test_a_job_is_offered_when_what_it_waited_for_has_ended(farm: Farm) -> None:
    slot, model = given_worker(farm), given_model(farm)
    first = given_job(farm, "1", model=model)
    then = given_job(farm, "1", model=model, after=(first.id,))
    assert offered(farm, slot) == [first.id]
    (attempt,) = farm.repository.attempts.claim(first.id, slot).attempts
    farm.repository.attempts.complete(attempt, [], Cost())
    farm.repository.jobs.finish_if_done(first.id)
    assert offered(farm, slot) == [then.id]


def test_a_job_is_offered_after_it_was_paused_or_stopped_and_goes_on(farm: Farm) -> None:
    slot, job = given_worker(farm), given_job(farm, "1-2")
    farm.repository.jobs.pause(job.id, actor=ACTOR)
    assert offered(farm, slot) == []
    farm.repository.jobs.resume(job.id, actor=ACTOR)
    assert offered(farm, slot) == [job.id]
    farm.repository.jobs.cancel(job.id, actor=ACTOR)
    assert offered(farm, slot) == []
    farm.repository.jobs.retry(job.id, actor=ACTOR)
    assert offered(farm, slot) == [job.id]


@pytest.mark.parametrize("end", ["leaves", "dies", "is lost"])
def test_a_job_with_all_its_slots_is_offered_when_one_of_them_is_gone(farm: Farm, clock: FakeClock, end: str) -> None:
    job, slot = given_job(farm, "1-9", max_slots=1), given_worker(farm, "busy")
    (attempt,) = farm.repository.attempts.claim(job.id, slot).attempts
    assert offered(farm, given_worker(farm, "idle")) == []
    if end == "is lost":
        clock.advance(seconds=farm.repository.database.heartbeat_limit_s + 0.1)
        farm.repository.recovery.expire_silent()
    else:
        farm.repository.attempts.complete(attempt, [], Cost())
    if end == "leaves":
        farm.repository.attempts.leave_job(job.id)
    if end == "dies":  # after its last frame, and before it could say that it leaves
        clock.advance(seconds=30.0)
    idle = given_worker(farm, "idle")
    assert offered(farm, idle) == [job.id]
    assert farm.repository.attempts.claim(job.id, idle).attempts


def test_who_comes_for_a_job_in_vain_has_it_passed_over(farm: Farm) -> None:
    job = given_job(farm, "1-9", max_slots=1)
    farm.repository.attempts.claim(job.id, given_worker(farm, "busy"))
    farm.repository.attempts.leave_job(job.id)
    idle = given_worker(farm, "idle")
    assert offered(farm, idle) == [job.id]
    assert not farm.repository.attempts.claim(job.id, idle).attempts
    assert offered(farm, idle) == []


def test_jobs_of_a_priority_take_turns_and_nobody_comes_twice_before_the_last_has_come(
    farm: Farm, clock: FakeClock
) -> None:
    slot, model = given_worker(farm), given_model(farm)
    low = [given_job(farm, "1-9", model=model, priority=3).id for _ in range(2)]
    high = [given_job(farm, "1-3", model=model, priority=7).id for _ in range(4)]
    served = []
    for _ in range(18):
        clock.advance(seconds=1.1)
        served.append(offered(farm, slot)[0])
        assert farm.repository.attempts.claim(served[-1], slot).attempts
    assert served == 3 * high + 3 * low


def test_what_requires_what_nobody_knew_is_offered_to_those_who_have_it(farm: Farm) -> None:
    """However many kinds there are, each worker finds its own, and one that is new."""
    model = given_model(farm)
    fit = given_worker(farm, "fit", offered=replace(NODE, tags=("t7", "new")))
    plain = [given_job(farm, "1", model=model, priority=1).id]
    by_tag = {f"t{number}": given_job(farm, "1", model=model, requires=(f"t{number}",)).id for number in range(35)}
    assert offered(farm, fit) == [by_tag["t7"], *plain]
    new = given_job(farm, "1", model=model, requires=("new",), priority=9)
    assert offered(farm, fit) == [new.id, by_tag["t7"], *plain]
    assert offered(farm, given_worker(farm, "plain")) == plain


@pytest.mark.parametrize("many", [20, 300])
def test_what_an_idle_slot_asks_costs_as_much_however_many_jobs_are_open(farm: Farm, many: int) -> None:
    """A few rows of an index: not those of jobs that have nothing to give, nor of one that does not suit."""
    slot, model = given_worker(farm), given_model(farm)
    idle = [
        *(given_job(farm, "1", model=model, max_slots=1), given_job(farm, "1", model=model)),
        given_job(farm, "1", model=model, requires=("ssd",), priority=9),
    ]
    for job in idle[:2]:
        assert farm.repository.attempts.claim(job.id, slot).attempts
    copy_jobs(farm.repository.database.engine, idle, many)
    due = given_job(farm, "1", model=model)
    assert offered(farm, slot) == [due.id]  # and the kinds of requirements are known from now on
    assert rows_read(farm, lambda: offered(farm, slot)) <= 30


def copy_jobs(engine: Engine, originals: list[Job], many: int) -> None:
    with engine.begin() as connection:
        for job in originals:
            row = dict(connection.execute(select(jobs).where(jobs.c.id == job.id)).one()._mapping)
            copies = [{**row, "id": f"{job.id}-{number}", "idempotency_key": None} for number in range(many)]
            connection.execute(jobs.insert(), copies)


def rows_read(farm: Farm, ask: Any) -> int:
    """How many rows, of tables and indexes, the database reads for a question; on SQLite, thousands of its steps."""
    if farm.repository.database.engine.dialect.name == "sqlite":
        return steps_taken(farm.repository.database.engine, ask) // 100
    counted: list[int] = []

    def count(connection: Any, *_: Any) -> None:
        names = (
            "'Handler_read_first', 'Handler_read_key', 'Handler_read_last', 'Handler_read_next', 'Handler_read_prev'"
        )
        rows = connection.exec_driver_sql(f"SHOW SESSION STATUS WHERE Variable_name IN ({names})").all()
        counted.append(sum(int(row[1]) for row in rows))

    event.listen(farm.repository.database.engine, "begin", count)
    event.listen(farm.repository.database.engine, "commit", count)
    ask()
    event.remove(farm.repository.database.engine, "begin", count)
    event.remove(farm.repository.database.engine, "commit", count)
    return counted[-1] - counted[0]


def steps_taken(engine: Engine, ask: Any) -> int:
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    with engine.connect() as connection:
        driver: Any = connection.connection.driver_connection
        driver.set_progress_handler(count, 1)
    ask()  # SQLite's pool gives a thread the same connection again
    driver.set_progress_handler(None, 1)
    return steps


@pytest.mark.slow
def test_no_task_is_hidden_whoever_queues_and_claims_at_the_same_time(tmp_path: Path, database_url: str) -> None:
    farm = farm_on(database_url, tmp_path)
    model = given_model(farm)
    made = [given_job(farm, "1-4", model=model, max_slots=limit).id for limit in (None, None, 2)]
    stop, claims = threading.Event(), Counter[str]()

    def work(number: int) -> None:
        dice, slot = random.Random(number), given_worker(farm, f"w{number}")
        while not stop.is_set():
            for job_id in farm.repository.attempts.claimable_jobs(slot):
                attempts = farm.repository.attempts.claim(job_id, slot, limit=dice.randint(1, 3)).attempts
                claims[job_id] += len(attempts)
                farm.repository.attempts.release(attempts)
                farm.repository.attempts.leave_job(job_id)

    with ThreadPoolExecutor(6) as hands:
        working = [hands.submit(work, number) for number in range(6)]
        try:
            wait_for(farm, lambda: all(claims[job_id] > 20 for job_id in made), within_s=60.0)
        finally:
            stop.set()
    for item in working:
        item.result()
    assert hidden(farm) == set()
    assert sorted(farm.repository.attempts.claimable_jobs(given_worker(farm, "last"))) == sorted(made)
    close(farm)
