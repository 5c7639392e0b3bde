"""What MySQL alone can do to us: answers that are lost, servers that freeze, doors that are shut."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pymysql
import pytest
from sqlalchemy import Connection, text

from renderctl.core.attempts import Cost
from renderctl.core.clocks import SystemClock
from renderctl.core.errors import DatabaseUnavailable
from renderctl.core.frames import FrameSet
from renderctl.core.jobs import Failure, Fault, NewJob, Output, RenderOptions, TaskCounts
from renderctl.core.states import AttemptState, JobState, WorkerState
from renderctl.core.workers import Heartbeat
from renderctl.farm import Farm
from renderctl.repository import Repository, open_repository
from renderctl.repository.database.engine import open_engine
from renderctl.repository.database.transactions import Database
from renderctl.repository.migrations import HEAD, upgrade
from renderctl.repository.schema.jobs import workers
from tests.databases import farm_on
from tests.farms import ACTOR, close, given_job, given_model, given_worker, wait_for
from tests.ports.severing import Wire, wire_to
from tests.services import MariaDb, running
from tests.services.fixtures import require

pytestmark = pytest.mark.services


@pytest.fixture
def severed(tmp_path: Path, ready_mysql_url: str) -> Iterator[tuple[Farm, Wire]]:
    """A farm whose wire to the database can break."""
    with wire_to(ready_mysql_url) as (wire, url):
        farm = farm_on(url, tmp_path)
        yield farm, wire
        close(farm)


def opened(url: str) -> Repository:
    return open_repository(url, now=SystemClock().now, heartbeat_limit_s=1.0)


def test_a_job_whose_commit_nobody_heard_of_is_added_once_and_is_new(severed: tuple[Farm, Wire]) -> None:
    farm, wire = severed
    model = given_model(farm)
    wire.severs.set()
    job, new = farm.repository.jobs.add(NewJob("night", model.id, RenderOptions(), FrameSet.parse("1-3")), actor=ACTOR)
    assert not wire.severs.is_set()
    assert (new, farm.repository.jobs.open_ids()) == (True, [job.id])


def test_what_is_committed_while_it_is_tried_again_is_done_once(severed: tuple[Farm, Wire]) -> None:
    farm, wire = severed
    wire.late_s = 0.7
    model, gone = given_model(farm), given_model(farm, "gone")
    wire.severs.set()
    job, new = farm.repository.jobs.add(NewJob("night", model.id, RenderOptions(), FrameSet.parse("1-3")), actor=ACTOR)
    assert (new, farm.repository.jobs.open_ids()) == (True, [job.id])
    wire.severs.set()
    assert farm.repository.jobs.set_priority(job.id, 7, actor=ACTOR).priority == 7
    wire.severs.set()
    assert farm.repository.models.remove(gone.id, actor=ACTOR).name == "gone"
    wire.severs.set()
    claim = farm.repository.attempts.claim(job.id, given_worker(farm), limit=2, serial=job.serial)
    assert not wire.severs.is_set()
    assert [attempt.frame for attempt in claim.attempts] == [1, 2]
    assert farm.repository.tasks.counts(job.id) == TaskCounts(queued=1, running=2)
    actions = [entry.action for entry in farm.repository.audit.newest()]
    assert [actions.count(action) for action in ("job.submit", "job.priority", "model.remove")] == [1, 1, 1]


def test_a_claim_whose_commit_nobody_heard_of_gets_what_it_got(severed: tuple[Farm, Wire]) -> None:
    farm, wire = severed
    job, slot = given_job(farm, "1-9"), given_worker(farm)
    wire.severs.set()
    claim = farm.repository.attempts.claim(job.id, slot, limit=3, serial=job.serial)
    assert [attempt.frame for attempt in claim.attempts] == [1, 2, 3]
    assert claim.serial == farm.repository.jobs.get(job.id).serial == job.serial + 1
    assert farm.repository.tasks.counts(job.id) == TaskCounts(queued=6, running=3)


def test_starting_failing_and_completing_say_the_same_when_their_commit_was_not_heard_of(
    severed: tuple[Farm, Wire],
) -> None:
    farm, wire = severed
    job, slot = given_job(farm, "1-2"), given_worker(farm)
    first, second = farm.repository.attempts.claim(job.id, slot, limit=2).attempts
    wire.severs.set()
    assert farm.repository.attempts.start(first)
    wire.severs.set()
    farm.repository.attempts.complete(first, [Output("1.png", "a" * 64, 1)], Cost(1.0), starting=[second])
    wire.severs.set()
    delay_s = farm.repository.attempts.fail(second, Failure(Fault.MACHINE, "Blender crashed."), Cost())
    assert not wire.severs.is_set()
    assert delay_s == pytest.approx(2.0, abs=1.0)
    states = {attempt.id: attempt.state for attempt in farm.repository.attempts.of_job(job.id)}
    assert states == {first.id: AttemptState.SUCCEEDED, second.id: AttemptState.FAILED}
    assert farm.repository.outputs.count(job.id) == 1


def test_what_people_do_is_done_once_when_its_commit_was_not_heard_of(severed: tuple[Farm, Wire]) -> None:
    farm, wire = severed
    job = given_job(farm, "1-3")
    farm.repository.jobs.pause(job.id, actor=ACTOR)
    wire.severs.set()
    assert farm.repository.jobs.resume(job.id, actor=ACTOR).state is JobState.QUEUED
    farm.repository.jobs.cancel(job.id, actor=ACTOR)
    wire.severs.set()
    assert farm.repository.jobs.retry(job.id, actor=ACTOR)[1] == 3
    wire.severs.set()
    model = given_model(farm, "other")
    assert not wire.severs.is_set()
    deeds = [entry.action for entry in farm.repository.audit.newest(subject=job.id)]
    assert deeds == ["job.retry", "job.cancel", "job.resume", "job.pause", "job.submit"]
    assert model.version == 1


def test_a_heartbeat_that_comes_with_a_drain_does_not_take_its_reason_away(severed: tuple[Farm, Wire]) -> None:
    farm, _ = severed
    given_worker(farm)
    (worker,) = farm.repository.workers.all()
    drained, waiting = threading.Event(), text("SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_current_waits'")

    def draining(connection: Connection) -> None:
        held = {"held": WorkerState.DRAINING, "state": WorkerState.DRAINING, "reason": "asked for by ada"}
        connection.execute(workers.update().where(workers.c.id == worker.id).values(held))
        drained.set()
        wait_for(farm, lambda: farm.repository.database.read(lambda reading: int(reading.execute(waiting).one()[1])))

    with ThreadPoolExecutor(2) as pool:
        drain = pool.submit(farm.repository.database.write, draining)
        drained.wait(30)
        orders = pool.submit(farm.repository.workers.heartbeat, Heartbeat(worker.id, worker.incarnation, {}))
        drain.result(30)
        assert orders.result(30).state is WorkerState.DRAINING
    (worker,) = farm.repository.workers.all()
    assert (worker.state, worker.reason) == (WorkerState.DRAINING, "asked for by ada")


def test_the_end_of_the_audit_log_is_known_though_the_answer_to_its_chaining_was_lost(
    severed: tuple[Farm, Wire],
) -> None:
    farm, wire = severed
    given_model(farm)
    wire.severs.set()
    head = farm.repository.audit_chain.head()
    assert not wire.severs.is_set()
    assert head == farm.repository.audit_chain.verify().head


def test_a_frozen_server_is_an_outage_within_seconds_and_a_restarted_one_costs_nothing() -> None:
    require(MariaDb)
    clock = SystemClock()
    with running(MariaDb) as server:
        repository = opened(f"{server.url}farm?read_timeout=2")
        server.freeze()
        began = clock.monotonic()
        with pytest.raises(DatabaseUnavailable, match="timed out"):
            repository.workers.all()
        assert clock.monotonic() - began < 8
        with pytest.raises(DatabaseUnavailable, match="timed out"):
            repository.audit_chain.head()
        server.thaw()
        assert repository.workers.all() == []
        server.restart()
        assert repository.workers.all() == []
        repository.close()


def test_a_process_makes_no_more_connections_than_the_url_allows_and_the_rest_wait(ready_mysql_url: str) -> None:
    engine = open_engine(f"{ready_mysql_url}?connections=2")
    repository = Repository(Database(engine, now=SystemClock().now, heartbeat_limit_s=15.0))
    held, free = threading.Barrier(3, timeout=30), threading.Event()

    def hold(connection: Connection) -> None:
        held.wait()
        free.wait(30)

    with ThreadPoolExecutor(3) as pool:
        holding = [pool.submit(repository.database.read, hold) for _ in range(2)]
        held.wait()
        waiting = pool.submit(repository.workers.all)
        assert engine.pool.checkedout() == 2  # type: ignore[attr-defined]
        assert not waiting.done()
        free.set()
        assert waiting.result(30) == []
        assert [item.result(30) for item in holding] == [None, None]
    assert engine.pool.checkedin() <= 2  # type: ignore[attr-defined]
    repository.close()


def test_a_database_that_is_not_there_is_made_and_one_that_may_not_be_says_how(ready_mysql_url: str) -> None:
    parts = urlsplit(ready_mysql_url)
    root = pymysql.connect(host=parts.hostname, port=parts.port or 3306, user=parts.username or "root")
    place = f"{parts.hostname}:{parts.port}"
    with root, root.cursor() as cursor:
        cursor.execute("CREATE OR REPLACE USER renderctl_guest IDENTIFIED BY 'p@ss/w:rd%'")
        try:
            with pytest.raises(DatabaseUnavailable) as caught:
                opened(f"mysql://renderctl_guest:p%40ss%2Fw%3Ard%25@{place}/renderctl_absent")
            assert "GRANT ALL ON `renderctl_absent`.*" in (caught.value.hint or "")
            with pytest.raises(DatabaseUnavailable) as caught:
                opened(f"mysql://renderctl_guest:wrong@{place}/renderctl_absent")
            assert "password" in (caught.value.hint or "")
            assert "wrong" not in str(caught.value)
            cursor.execute("GRANT ALL ON renderctl_absent.* TO renderctl_guest")
            repository = opened(f"mysql://renderctl_guest:p%40ss%2Fw%3Ard%25@{place}/renderctl_absent")
            assert "p@ss" not in repository.diagnostics.check()
            repository.close()
        finally:
            cursor.execute("DROP DATABASE IF EXISTS renderctl_absent")
            cursor.execute("DROP USER renderctl_guest")


@pytest.mark.parametrize("left", ["DELETE FROM alembic_version", "UPDATE alembic_version SET version_num = '0001'"])
def test_a_set_up_that_was_killed_half_way_is_finished_by_the_next_one(mysql_url: str, left: str) -> None:
    opened(mysql_url).close()
    engine = open_engine(mysql_url, patient=True)
    with engine.begin() as connection:
        connection.execute(text(left))
        connection.execute(text("DROP TABLE blob_lease"))
    assert upgrade(engine) == HEAD
    engine.dispose()
    repository = opened(mysql_url)
    assert repository.workers.all() == []
    repository.close()
