"""The doctor on a farm of real services, healthy and with each part broken: which, where, and what to do."""

import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from renderctl.core.settings import CacheSettings, DatabaseSettings, QueueSettings, Settings, StoreSettings
from renderctl.farm import Farm
from renderctl.farm.doctor import Finding, crew, parts
from renderctl.wiring import open_farm
from tests.fakes import FakeClock
from tests.farms import close, given_job, given_worker, make_farm
from tests.services.server import free_port

Break = Callable[[Settings], Settings]


@pytest.fixture
def settings(tmp_path: Path, ready_mysql_url: str, s3: StoreSettings, rabbitmq_url: str, redis_url: str) -> Settings:
    """Of a farm of services that all work."""
    return Settings(
        tmp_path,
        DatabaseSettings(ready_mysql_url),
        s3,
        QueueSettings("rabbitmq", rabbitmq_url),
        CacheSettings("redis", redis_url),
    )


@pytest.fixture
def own(settings: Settings, mysql_url: str) -> Settings:
    """The same, with a database that the test may harm."""
    return replace(settings, database=DatabaseSettings(mysql_url))


def examined(settings: Settings) -> dict[str, Finding]:
    opened: list[Any] = []
    try:
        return {each.part: each for each in parts(open_farm(settings, opened))}
    finally:
        for port in opened:
            port.close()


def broken(settings: Settings) -> Finding:
    """The one part that is broken."""
    found = [each for each in examined(settings).values() if not each.ok]
    assert len(found) == 1, found
    return found[0]


def elsewhere(url: str | None, **changes: Any) -> str:
    return make_url(url or "").set(**changes).render_as_string(hide_password=False)


def execute(url: str | None, *statements: str) -> None:
    engine = create_engine(url or "")
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


@pytest.mark.services
def test_a_healthy_farm_of_services_says_what_and_where_they_are(settings: Settings) -> None:
    found = examined(settings)
    assert all(each.ok for each in found.values()), found
    assert list(found) == ["config", "data folder", "database", "store", "queue", "cache", "executor", "decoder"]
    for part, product, url in (
        ("database", "M", settings.database.url),
        ("queue", "RabbitMQ", settings.queue.url),
        ("cache", "Redis", settings.cache.url),
    ):
        assert found[part].finding.startswith(product)
        assert f"{make_url(url or '').host}:{make_url(url or '').port}" in found[part].finding
    assert str(settings.store.endpoint) in found["store"].finding
    assert found["database"].hint is None


@pytest.mark.services
@pytest.mark.parametrize("part", ["database", "store", "queue", "cache"])
def test_a_service_that_is_not_there_is_named_with_its_address(settings: Settings, part: str) -> None:
    port = free_port()
    gone: dict[str, Any] = {
        "database": DatabaseSettings(elsewhere(settings.database.url, port=port)),
        "store": replace(settings.store, endpoint=f"127.0.0.1:{port}"),
        "queue": QueueSettings("rabbitmq", elsewhere(settings.queue.url, port=port)),
        "cache": CacheSettings("redis", elsewhere(settings.cache.url, port=port)),
    }
    found = broken(replace(settings, **{part: gone[part]}))
    assert found.part == part
    assert f"127.0.0.1:{port}" in found.finding
    assert found.hint


@pytest.mark.services
@pytest.mark.parametrize("part", ["database", "store", "queue", "cache"])
def test_a_wrong_password_is_told_from_a_service_that_is_away_and_is_not_shown(settings: Settings, part: str) -> None:
    wrong: dict[str, Any] = {
        "database": DatabaseSettings(elsewhere(settings.database.url, password="hush-hush")),
        "store": replace(settings.store, secret_key="hush-hush"),
        "queue": QueueSettings("rabbitmq", elsewhere(settings.queue.url, password="hush-hush")),
        "cache": CacheSettings("redis", elsewhere(settings.cache.url, username="nobody", password="hush-hush")),
    }
    found = broken(replace(settings, **{part: wrong[part]}))
    said = f"{found.finding} {found.hint}"
    assert found.part == part
    assert any(word in said for word in ("password", "secret_key"))
    assert "hush" not in said


@pytest.mark.services
@pytest.mark.timeout(50)  # a store as patient as a worker's would take a minute
def test_services_that_take_connections_and_never_answer_are_named(tmp_path: Path) -> None:
    """They are waited for side by side, and nobody for long."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        held: list[socket.socket] = []

        def take() -> None:
            while True:
                try:
                    held.append(listener.accept()[0])
                except OSError:
                    return

        threading.Thread(target=take, daemon=True).start()
        found = examined(
            Settings(
                tmp_path,
                DatabaseSettings(f"mysql+pymysql://ada:hush@127.0.0.1:{port}/farm"),
                StoreSettings("minio", f"127.0.0.1:{port}", "ada", "hush", secure=False),
                QueueSettings("rabbitmq", f"amqp://ada:hush@127.0.0.1:{port}/"),
                CacheSettings("redis", f"redis://ada:hush@127.0.0.1:{port}/0"),
            )
        )
        listener.shutdown(socket.SHUT_RDWR)
        for each in held:
            each.close()
    assert [part for part, each in found.items() if not each.ok] == ["database", "store", "queue", "cache"]
    for part in ("database", "store", "queue", "cache"):
        assert f"127.0.0.1:{port}" in found[part].finding
        assert found[part].hint
        assert "hush" not in f"{found[part].finding} {found[part].hint}"


@pytest.mark.services
@pytest.mark.parametrize(
    ("revision", "hint"), [("0001", "`renderctl database upgrade`"), ("9999", "Install the newer renderctl")]
)
def test_a_database_of_another_version_of_renderctl_is_told(own: Settings, revision: str, hint: str) -> None:
    assert examined(own)["database"].ok
    execute(own.database.url, f"UPDATE alembic_version SET version_num = '{revision}'")
    found = broken(own)
    assert (found.part, revision in found.finding) == ("database", True)
    assert hint in (found.hint or "")


@pytest.mark.services
def test_a_database_that_was_dropped_is_told_to_one_who_may_not_make_it(settings: Settings) -> None:
    url = make_url(settings.database.url or "")
    user = f"u{url.database}"[:32]
    execute(settings.database.url, f"CREATE USER '{user}'@'%' IDENTIFIED BY 'hush'")
    try:
        own = elsewhere(settings.database.url, username=user, password="hush", database=f"{url.database}_gone")
        found = broken(replace(settings, database=DatabaseSettings(own)))
    finally:
        execute(settings.database.url, f"DROP USER '{user}'@'%'")
    assert found.part == "database"
    assert f"CREATE DATABASE `{url.database}_gone`" in (found.hint or "")
    assert f"'{user}'" in (found.hint or "")
    assert "hush" not in f"{found.finding} {found.hint}"


@pytest.mark.services
def test_a_user_who_may_only_read_is_told_what_to_grant(settings: Settings) -> None:
    assert examined(settings)["database"].ok
    url = make_url(settings.database.url or "")
    user = f"u{url.database}"[:32]
    execute(settings.database.url, f"CREATE USER '{user}'@'%'", f"GRANT SELECT ON `{url.database}`.* TO '{user}'@'%'")
    try:
        own = elsewhere(settings.database.url, username=user)
        found = broken(replace(settings, database=DatabaseSettings(own)))
    finally:
        execute(settings.database.url, f"DROP USER '{user}'@'%'")
    assert "denied" in found.finding
    assert "GRANT ALL" in (found.hint or "")


@pytest.mark.services
@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("ALTER TABLE audit ENGINE = MyISAM", "keeps its table audit in MyISAM"),
        ("ALTER TABLE audit CONVERT TO CHARACTER SET latin1", "texts of its table audit by latin1"),
    ],
)
def test_a_table_that_somebody_has_changed_is_named_and_how_to_change_it_back(
    own: Settings, statement: str, said: str
) -> None:
    assert examined(own)["database"].ok
    execute(own.database.url, statement)
    found = broken(own)
    assert said in found.finding
    execute(own.database.url, found.hint or "")
    assert examined(own)["database"].ok


@pytest.mark.services
@pytest.mark.parametrize("part", ["database", "store", "queue", "cache"])
def test_a_setting_that_makes_no_sense_breaks_its_own_part_alone(settings: Settings, part: str) -> None:
    nonsense: dict[str, Any] = {
        "database": DatabaseSettings("postgres://ada:hush@host/farm"),
        "store": replace(settings.store, endpoint="http://host/path"),
        "queue": QueueSettings("rabbitmq", "http://ada:hush@host"),
        "cache": CacheSettings("redis", "http://ada:hush@host"),
    }
    found = broken(replace(settings, **{part: nonsense[part]}))
    assert found.part == part
    assert part in found.finding
    assert "hush" not in f"{found.finding} {found.hint}"


@pytest.fixture
def farm(tmp_path: Path, clock: FakeClock) -> Iterator[Farm]:
    farm = make_farm(tmp_path, clock=clock)
    yield farm
    close(farm)


def crew_of(farm: Farm) -> tuple[Finding, Finding]:
    workers, sweep = crew(farm)
    return workers, sweep


def test_a_farm_without_work_needs_no_worker(farm: Farm) -> None:
    workers, sweep = crew_of(farm)
    assert (workers.ok, workers.finding, workers.hint) == (True, "none at work", None)
    assert (sweep.ok, sweep.finding, sweep.hint) == (True, "none is under way", None)


def test_jobs_that_nobody_can_take_are_named_with_the_reason(farm: Farm) -> None:
    given_worker(farm, pools=("default",))
    first, _ = given_job(farm, pool="gpu", name="shot"), given_job(farm, pool="gpu")
    given_job(farm)
    workers, sweep = crew_of(farm)
    assert workers.ok
    assert workers.finding == "1 active; 0 of 1 slots busy; pools default"
    assert workers.hint == f"Job {first.id} (shot) and 1 more can not go on: no worker serves pool gpu."
    assert sweep.hint is not None
    assert "`renderctl sweep`" in sweep.hint


def test_workers_in_trouble_are_named_and_how_they_get_out_of_it(farm: Farm) -> None:
    given_worker(farm, "node-1")
    given_worker(farm, "node-2")
    with farm.repository.database.engine.begin() as connection:
        held = "UPDATE worker SET state = 'quarantined', held = 'quarantined', reason = 'It failed 3 jobs.'"
        connection.execute(text(f"{held} WHERE id = 'node-2'"))
    workers, _ = crew_of(farm)
    assert workers.finding.startswith("1 active, 1 quarantined; ")
    expected = "node-2 is quarantined: It failed 3 jobs. `renderctl workers resume node-2` lets it work again."
    assert workers.hint == expected


def test_the_last_sweep_is_told_and_missed_when_it_is_long_ago(farm: Farm, clock: FakeClock) -> None:
    given_job(farm)
    farm.repository.recovery.acquire_sweep_lease("node-1")
    assert crew_of(farm)[1].finding == "0 s ago, by node-1"
    assert crew_of(farm)[1].hint is None
    clock.advance(seconds=120)
    assert crew_of(farm)[1].finding == "120 s ago, by node-1"
    assert "nobody repairs" in (crew_of(farm)[1].hint or "")


@pytest.mark.slow
def test_a_config_with_passwords_that_others_can_read_is_told(tmp_path: Path) -> None:
    config = tmp_path / "renderctl.yaml"
    config.touch(mode=0o644)
    secret = Settings(tmp_path, cache=CacheSettings("sqlite", "redis://:hush@host"), source=config)
    assert f"chmod 600 {config}" in (examined(secret)["config"].hint or "")
    config.chmod(0o600)
    assert examined(secret)["config"].hint is None


@pytest.mark.slow
def test_a_disk_that_is_nearly_full_is_told(tmp_path: Path) -> None:
    few = Settings(tmp_path)
    assert examined(few)["data folder"].hint is None
    many = replace(few, worker=replace(few.worker, min_free_mb=1 << 40))
    assert "worker.min_free_mb" in (examined(many)["data folder"].hint or "")


@pytest.mark.slow
def test_who_may_not_write_the_database_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "renderctl.db").mkdir()
    found = examined(Settings(tmp_path))["database"]
    assert not found.ok
    assert str(tmp_path / "renderctl.db") in found.finding


@pytest.mark.slow
def test_a_data_folder_that_others_can_look_into_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    assert f"chmod 700 {tmp_path}" in (examined(Settings(tmp_path))["data folder"].hint or "")
    tmp_path.chmod(0o700)
    assert examined(Settings(tmp_path))["data folder"].hint is None
