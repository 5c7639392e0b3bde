"""What the repository promises, on every database that it runs on."""

import multiprocessing
from dataclasses import replace
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import select, text
from sqlmodel import SQLModel

from renderctl.core.attempts import Completion, Cost
from renderctl.core.errors import AttemptSuperseded, Conflict, DatabaseOutdated, IllegalTransition, NotFound
from renderctl.core.frames import FrameSet
from renderctl.core.jobs import Failure, Fault, NewJob, Output, RenderOptions, TaskCounts
from renderctl.core.states import AttemptState, JobState, TaskState
from renderctl.core.workers import Heartbeat
from renderctl.farm import Farm
from renderctl.repository import migrations as migrated
from renderctl.repository import open_repository
from renderctl.repository.database.engine import open_engine
from renderctl.repository.schema.jobs import attempts
from tests.databases import all_tables, farm_on
from tests.fakes import FakeClock
from tests.farms import ACTOR, close, given_job, given_model, given_worker

IMAGE = Output("0001.png", "a" * 64, 10)


def test_a_claim_takes_tasks_in_their_order_and_moves_the_serial_on(farm: Farm) -> None:
    job, slot = given_job(farm, "5,3,9"), given_worker(farm)
    claim = farm.repository.attempts.claim(job.id, slot, limit=2, serial=job.serial)
    assert [attempt.frame for attempt in claim.attempts] == [5, 3]
    assert claim.serial == job.serial + 1
    assert farm.repository.jobs.get(job.id).state is JobState.RUNNING


def test_a_stale_ticket_is_worth_nothing(farm: Farm) -> None:
    job, slot = given_job(farm, "1-3"), given_worker(farm)
    farm.repository.attempts.claim(job.id, slot, serial=job.serial)
    assert farm.repository.attempts.claim(job.id, slot, serial=job.serial).attempts == ()


def test_the_last_claim_leaves_no_ticket(farm: Farm) -> None:
    job, slot = given_job(farm, "1"), given_worker(farm)
    assert farm.repository.attempts.claim(job.id, slot, serial=job.serial).serial is None


@pytest.mark.parametrize("verb", ["pause", "cancel"])
def test_a_job_that_does_not_run_gives_nothing(farm: Farm, verb: str) -> None:
    job, slot = given_job(farm, "1-3"), given_worker(farm)
    getattr(farm.repository.jobs, verb)(job.id, actor=ACTOR)
    assert farm.repository.attempts.claim(job.id, slot).attempts == ()


def test_a_pool_that_a_worker_does_not_serve_gives_it_nothing_and_keeps_its_ticket(farm: Farm) -> None:
    job, slot = given_job(farm, "1-3", pool="gpu"), given_worker(farm)
    claim = farm.repository.attempts.claim(job.id, slot, serial=job.serial)
    assert (claim.attempts, claim.serial, claim.delay_s) == ((), job.serial, 1.0)


def test_a_slot_limit_holds_across_workers(farm: Farm) -> None:
    job = given_job(farm, "1-3", max_slots=1)
    assert farm.repository.attempts.claim(job.id, given_worker(farm, "w1")).attempts
    assert not farm.repository.attempts.claim(job.id, given_worker(farm, "w2")).attempts


def test_a_bound_job_is_its_workers_while_that_ones_heart_beats(farm: Farm, clock: FakeClock) -> None:
    given_worker(farm, "own")
    other = given_worker(farm, "other")
    job = given_job(farm, "1-3", bound_to="own")
    assert not farm.repository.attempts.claim(job.id, other).attempts
    clock.advance(seconds=2)
    assert farm.repository.attempts.claim(job.id, other).attempts


def test_outputs_are_published_once_and_a_repeated_completion_changes_nothing(farm: Farm) -> None:
    job, slot = given_job(farm, "1"), given_worker(farm)
    (attempt,) = farm.repository.attempts.claim(job.id, slot).attempts
    farm.repository.attempts.start(attempt)
    for _ in range(2):
        farm.repository.attempts.complete(attempt, [IMAGE], Cost(1.5))
    assert farm.repository.outputs.count(job.id) == 1
    assert farm.repository.jobs.finish_if_done(job.id) is JobState.SUCCEEDED


def test_a_zombie_can_not_publish_after_its_task_was_queued_again(farm: Farm, clock: FakeClock) -> None:
    job, slot = given_job(farm, "1"), given_worker(farm)
    (zombie,) = farm.repository.attempts.claim(job.id, slot).attempts
    farm.repository.attempts.start(zombie)
    clock.advance(seconds=2)
    workers, lost = farm.repository.recovery.expire_silent()
    assert (workers, [attempt.id for attempt in lost]) == (["w1"], [zombie.id])
    (second,) = farm.repository.attempts.claim(job.id, given_worker(farm, "w2")).attempts
    farm.repository.attempts.complete(second, [IMAGE], Cost())
    with pytest.raises(AttemptSuperseded):
        farm.repository.attempts.complete(zombie, [Output("evil.png", "b" * 64, 1)], Cost())
    outputs, _ = farm.repository.outputs.of_job(job.id)
    assert [output.name for output in outputs] == ["0001.png"]


def test_of_frames_that_are_published_together_one_that_was_taken_away_is_left_out(
    farm: Farm, clock: FakeClock
) -> None:
    job, slot = given_job(farm, "1-3"), given_worker(farm)
    claimed = farm.repository.attempts.claim(job.id, slot, limit=3).attempts
    first, zombie, _ = claimed
    farm.repository.attempts.complete(first, [IMAGE], Cost(1.0))
    farm.repository.attempts.release([zombie])
    (heir,) = farm.repository.attempts.claim(job.id, given_worker(farm, "w2")).attempts
    done = [Completion(item, (replace(IMAGE, name=f"{item.number}.png"),), Cost(item.number)) for item in claimed]
    for _ in range(2):
        assert farm.repository.attempts.complete_all(done) == {zombie.id}
    farm.repository.attempts.complete(heir, [replace(IMAGE, name="heir.png")], Cost(2.0))
    outputs, _ = farm.repository.outputs.of_job(job.id)
    assert sorted(output.name for output in outputs) == ["0001.png", "3.png", "heir.png"]
    ended = {attempt.id: attempt.state for attempt in farm.repository.attempts.of_job(job.id)}
    assert [ended[entry.id] for entry in claimed] == ["succeeded", "released", "succeeded"]
    assert farm.repository.jobs.finish_if_done(job.id) is JobState.SUCCEEDED


def test_frames_that_are_published_together_keep_their_own_costs_and_places_of_logs(farm: Farm) -> None:
    job, slot = given_job(farm, "1-2"), given_worker(farm)
    one, two = farm.repository.attempts.claim(job.id, slot, limit=2).attempts
    farm.repository.attempts.complete_all(
        [Completion(one, (), Cost(1.0), "x:0:5"), Completion(two, (), Cost(3.0), "x:5:9")]
    )
    assert {attempt.number: attempt.log for attempt in farm.repository.attempts.of_job(job.id)} == {
        1: "x:0:5",
        2: "x:5:9",
    }
    costs = select(attempts.c.seconds).order_by(attempts.c.number)
    assert farm.repository.database.read(lambda connection: list(connection.scalars(costs))) == [1.0, 3.0]


def test_a_restarted_worker_fences_its_predecessor_at_once(farm: Farm) -> None:
    job, slot = given_job(farm, "1-2"), given_worker(farm, start="first")
    held = farm.repository.attempts.claim(job.id, slot, limit=2).attempts
    farm.repository.attempts.start(held[0])
    given_worker(farm, start="second")
    assert farm.repository.tasks.counts(job.id) == TaskCounts(queued=2)
    states = {attempt.id: attempt.state for attempt in farm.repository.attempts.of_job(job.id)}
    assert states == {held[0].id: AttemptState.LOST, held[1].id: AttemptState.RELEASED}
    assert [task.attempts for task in farm.repository.tasks.of_job(job.id)] == [1, 0]
    assert farm.repository.workers.heartbeat(Heartbeat("w1", "first", {held[0].id: 0.5})).superseded


def test_heartbeats_keep_attempts_and_say_what_to_stop(farm: Farm, clock: FakeClock) -> None:
    job, slot = given_job(farm, "1"), given_worker(farm)
    (attempt,) = farm.repository.attempts.claim(job.id, slot).attempts
    beat = Heartbeat(slot.worker_id, slot.incarnation, {attempt.id: 0.5, "unknown": 0.1})
    for _ in range(3):
        clock.advance(seconds=0.9)
        assert farm.repository.workers.heartbeat(beat).stop == {"unknown"}
        assert farm.repository.recovery.expire_silent() == ([], [])
    farm.repository.jobs.cancel(job.id, actor=ACTOR)
    assert attempt.id in farm.repository.workers.heartbeat(beat).stop


def test_an_attempt_that_its_own_worker_does_not_list_any_more_is_queued_again(farm: Farm, clock: FakeClock) -> None:
    job, slot = given_job(farm, "1"), given_worker(farm)
    farm.repository.attempts.claim(job.id, slot)
    clock.advance(seconds=0.9)
    farm.repository.workers.heartbeat(Heartbeat(slot.worker_id, slot.incarnation, {}))
    clock.advance(seconds=0.9)
    assert farm.repository.recovery.expire_silent()[0] == []
    assert farm.repository.tasks.counts(job.id) == TaskCounts(queued=1)


def test_a_fault_of_the_machine_is_tried_again_after_a_while_and_ends_with_its_attempts(
    farm: Farm, clock: FakeClock
) -> None:
    job, slot = given_job(farm, "1", max_attempts=2), given_worker(farm)
    failure = Failure(Fault.MACHINE, "Blender crashed.")
    (first,) = farm.repository.attempts.claim(job.id, slot).attempts
    assert farm.repository.attempts.fail(first, failure, Cost()) == 2.0
    claim = farm.repository.attempts.claim(job.id, slot)
    assert (claim.attempts, claim.delay_s) == ((), 2.0)
    clock.advance(seconds=2)
    (second,) = farm.repository.attempts.claim(job.id, slot).attempts
    assert farm.repository.attempts.fail(second, failure, Cost()) is None
    assert farm.repository.jobs.finish_if_done(job.id) is JobState.FAILED
    assert farm.repository.jobs.get(job.id).error == "Blender crashed."


def test_a_task_that_failed_here_goes_elsewhere_while_there_is_an_elsewhere(farm: Farm, clock: FakeClock) -> None:
    job, here = given_job(farm, "1"), given_worker(farm, "here")
    (attempt,) = farm.repository.attempts.claim(job.id, here).attempts
    farm.repository.attempts.fail(attempt, Failure(Fault.MACHINE, "no memory"), Cost())
    clock.advance(seconds=2)
    there = given_worker(farm, "there")
    assert not farm.repository.attempts.claim(job.id, here).attempts
    assert farm.repository.attempts.claim(job.id, there).attempts


def test_what_was_claimed_and_not_started_goes_back_free_of_charge(farm: Farm) -> None:
    job, slot = given_job(farm, "1-3"), given_worker(farm)
    farm.repository.attempts.release(farm.repository.attempts.claim(job.id, slot, limit=3).attempts)
    assert farm.repository.tasks.counts(job.id) == TaskCounts(queued=3)
    assert [task.attempts for task in farm.repository.tasks.of_job(job.id)] == [0, 0, 0]


def test_a_job_that_was_canceled_keeps_what_is_finished(farm: Farm) -> None:
    job, slot = given_job(farm, "1-3"), given_worker(farm)
    (attempt,) = farm.repository.attempts.claim(job.id, slot).attempts
    farm.repository.attempts.complete(attempt, [IMAGE], Cost())
    farm.repository.jobs.cancel(job.id, actor=ACTOR)
    assert farm.repository.tasks.counts(job.id) == TaskCounts(succeeded=1, canceled=2)


def test_an_illegal_step_is_refused_with_what_is_legal(farm: Farm) -> None:
    job = given_job(farm, "1")
    farm.repository.jobs.cancel(job.id, actor=ACTOR)
    with pytest.raises(IllegalTransition, match="A canceled job cannot become paused"):
        farm.repository.jobs.pause(job.id, actor=ACTOR)


def test_tasks_of_a_dependent_job_wait_for_every_job_before_it(farm: Farm) -> None:
    one, two, slot = given_job(farm, "1"), given_job(farm, "1"), given_worker(farm)
    last = given_job(farm, "1", after=(one.id, two.id))
    for job, waiting in ((one, TaskState.BLOCKED), (two, TaskState.QUEUED)):
        (attempt,) = farm.repository.attempts.claim(job.id, slot).attempts
        farm.repository.attempts.complete(attempt, [], Cost())
        farm.repository.jobs.finish_if_done(job.id)
        assert farm.repository.tasks.of_job(last.id)[0].state is waiting


def test_an_idempotency_key_makes_one_job_and_refuses_another_request(farm: Farm) -> None:
    model = given_model(farm)
    new = NewJob("night", model.id, RenderOptions(), FrameSet.parse("1-3"), idempotency_key="build-7")
    job, fresh = farm.repository.jobs.add(new, actor=ACTOR)
    again, fresh_again = farm.repository.jobs.add(new, actor=ACTOR)
    assert (fresh, fresh_again, again.id) == (True, False, job.id)
    with pytest.raises(Conflict, match="idempotency key"):
        farm.repository.jobs.add(
            NewJob("night", model.id, RenderOptions(samples=9), FrameSet.parse("1-3"), idempotency_key="build-7"),
            actor=ACTOR,
        )


def test_a_beginning_that_means_two_jobs_names_them(farm: Farm) -> None:
    one, two = given_job(farm, "1", name="twin"), given_job(farm, "1", name="twin")
    with pytest.raises(NotFound, match="more than one") as caught:
        farm.repository.jobs.find("twin")
    assert one.id in (caught.value.hint or "")
    assert two.id in (caught.value.hint or "")


def test_every_deed_leaves_an_audit_row(farm: Farm) -> None:
    job = given_job(farm, "1-2")
    farm.repository.jobs.pause(job.id, actor=ACTOR)
    farm.repository.jobs.resume(job.id, actor=ACTOR)
    farm.repository.jobs.set_priority(job.id, 9, actor=ACTOR)
    farm.repository.jobs.cancel(job.id, actor=ACTOR)
    farm.repository.jobs.retry(job.id, actor=ACTOR)
    log = [(entry.actor, entry.action) for entry in reversed(farm.repository.audit.newest(subject=job.id))]
    deeds = ["job.submit", "job.pause", "job.resume", "job.priority", "job.cancel", "job.retry"]
    assert log == [("ada", deed) for deed in deeds]


def test_who_gains_the_lease_expires_nobody_for_a_heartbeat_limit(farm: Farm, clock: FakeClock) -> None:
    assert not farm.repository.recovery.acquire_sweep_lease("one").may_expire
    assert not farm.repository.recovery.acquire_sweep_lease("two").held
    for _ in range(3):
        clock.advance(seconds=0.5)
        watch = farm.repository.recovery.acquire_sweep_lease("one")
    assert watch.held
    assert watch.may_expire
    clock.advance(seconds=5)
    assert not farm.repository.recovery.acquire_sweep_lease("two").may_expire


def test_an_unserved_job_is_named_again_ever_more_rarely(farm: Farm, clock: FakeClock) -> None:
    job = given_job(farm, "1")
    named = []
    for second in range(100):
        clock.advance(seconds=1)
        named += [second + 1] if farm.repository.recovery.unserved_jobs() else []
    assert farm.repository.jobs.get(job.id).serial == 1
    assert named == [10, 30, 70]


def test_the_migrations_make_the_tables_that_the_code_knows(new_database_url: str) -> None:
    all_tables()
    engine = open_engine(new_database_url)
    migrated.upgrade(engine)
    with engine.connect().execution_options(reads=True) as connection:
        assert compare_metadata(MigrationContext.configure(connection), SQLModel.metadata) == []
    engine.dispose()
    assert ScriptDirectory(str(Path(migrated.__file__).parent)).get_heads() == [migrated.HEAD]


@pytest.mark.slow
def test_who_is_logged_in_stays_so_when_log_ins_get_names(new_database_url: str, clock: FakeClock) -> None:
    engine, config = open_engine(new_database_url), Config()
    config.set_main_option("script_location", str(Path(migrated.__file__).parent))
    columns = "digest, user, csrf, created_at, expires_at"
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0006")
        known = "name, role, created_at"
        connection.execute(text(f"INSERT INTO user ({known}) VALUES ('bob', 'artist', '2026-01-01 00:00:00')"))
        for digest in ("d1", "d2"):
            row = f"'{digest}', 'bob', 'csrf', '2026-01-01 00:00:00', '2100-01-01 00:00:00'"
            connection.execute(text(f"INSERT INTO web_session ({columns}) VALUES ({row})"))
    for there_and_back in ("head", "0006", "head"):
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            (command.downgrade if there_and_back == "0006" else command.upgrade)(config, there_and_back)
    engine.dispose()
    repository = open_repository(new_database_url, now=clock.now, heartbeat_limit_s=1.0)
    actor, other = (repository.sessions.authenticate(digest, "192.0.2.7").actor for digest in ("d1", "d2"))
    assert {session.id for session in repository.sessions.all(user="bob")} == {actor.session, other.session}
    assert len({actor.session, other.session, None}) == 3
    repository.close()


def test_an_old_database_is_refused_until_it_is_upgraded(new_database_url: str, clock: FakeClock) -> None:
    engine = open_engine(new_database_url)
    migrated.upgrade(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    with pytest.raises(DatabaseOutdated) as caught:
        open_repository(new_database_url, now=clock.now, heartbeat_limit_s=1.0)
    engine.dispose()
    assert "renderctl database upgrade" in (caught.value.hint or "")


def _claim_all(url: str, folder: Path, job_id: str, name: str, taken: "multiprocessing.Queue[list[int]]") -> None:
    farm = farm_on(url, folder)
    slot = given_worker(farm, name)
    mine: list[int] = []
    while claimed := farm.repository.attempts.claim(job_id, slot, limit=7).attempts:
        mine += [attempt.number for attempt in claimed]
    taken.put(mine)
    close(farm)


@pytest.mark.slow
def test_eight_processes_claim_two_thousand_tasks_each_exactly_once(tmp_path: Path, database_url: str) -> None:
    farm = farm_on(database_url, tmp_path)
    job = given_job(farm, "1-2000")
    close(farm)
    spawn = multiprocessing.get_context("spawn")
    taken: multiprocessing.Queue[list[int]] = spawn.Queue()
    given = [(database_url, tmp_path, job.id, f"w{n}", taken) for n in range(8)]
    processes = [spawn.Process(target=_claim_all, args=item) for item in given]
    for process in processes:
        process.start()
    claimed = sorted(number for _ in processes for number in taken.get(timeout=300))
    for process in processes:
        process.join(20)
    assert claimed == list(range(1, 2001))
