"""What compose/ gives `server` and `worker` in MySQL, Redis and RabbitMQ: enough for the farm, and no more."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit

import pika
import pymysql
import pytest
import redis
from pika.exceptions import ChannelClosedByBroker

from renderctl.core.settings import load_settings
from renderctl.core.states import JobState
from renderctl.farm import Farm
from renderctl.farm.admin.compose_init import write_compose
from renderctl.farm.admin.dotenv_file import values_in
from renderctl.farm.admin.sweep import sweep
from renderctl.farm.doctor import doctor
from tests.farms import ACTOR, at_work, close, given_job, make_farm, wait_for
from tests.services import MariaDb, RabbitMq, Redis, running
from tests.services.fixtures import require
from tests.services.fresh import ask

pytestmark = [pytest.mark.services, pytest.mark.slow]
COMPOSE = Path(__file__).parents[3] / "compose"
NAMES = ("server", "worker")


class LimitedRedis(Redis):
    """Started as compose/ starts it."""

    secrets = Path()

    @property
    def url(self) -> str:
        return f"redis://:{self.password('redis_password')}@127.0.0.1:{self.port}/0"

    def password(self, name: str) -> str:
        return (self.secrets / name).read_text()

    def launch(self) -> None:
        environment = {"SECRETS": str(self.secrets), "CONFIG": str(self.folder / "redis.conf")}
        words = ("--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self.folder))
        self.spawn("sh", str(COMPOSE / "redis/start.sh"), *words, environment=environment)


class LimitedRabbitMq(RabbitMq):
    """Configured as in compose/."""

    secrets = Path()

    @property
    def _admin(self) -> str:
        return f"renderctl:{(self.secrets.parent / 'rabbitmq_password').read_text()}@127.0.0.1"

    @property
    def url(self) -> str:
        return f"amqp://{self._admin}:{self.port}/"

    @property
    def api_url(self) -> str:
        return f"http://{self._admin}:{self.api_port}"

    def prepare(self) -> None:
        super().prepare()
        configured = (COMPOSE / "rabbitmq/renderctl.conf").read_text().replace("/run/secrets", str(self.secrets))
        with (self.folder / "rabbitmq.conf").open("a") as file:
            file.write(configured)


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compose")
    (folder / ".env").write_text('WORKER_PASSWORD="it\'s \\\\ a #secret %s"\n')
    write_compose(folder, force=False)
    (folder / "rabbitmq_password").write_text(values_in((folder / ".env").read_text())["RABBITMQ_PASSWORD"])
    path = folder / "secrets" / "mysql_root_password"
    path.unlink()
    path.write_text("")  # as the tests' own MariaDB has it
    return folder / "secrets"


@pytest.fixture(scope="module")
def database(secrets: Path) -> Iterator[MariaDb]:
    require(MariaDb)
    with running(MariaDb) as server:
        environment = {"SECRETS": str(secrets), "MYSQL_HOST": "127.0.0.1", "MYSQL_TCP_PORT": str(server.port)}
        for _ in range(2):  # it is run at each start
            subprocess.run(["sh", str(COMPOSE / "mysql/setup.sh")], env=os.environ | environment, check=True)
        yield server


@pytest.fixture(scope="module")
def cache(secrets: Path) -> Iterator[LimitedRedis]:
    require(Redis)
    LimitedRedis.secrets = secrets
    with running(LimitedRedis) as server:
        yield server


@pytest.fixture(scope="module")
def broker(secrets: Path) -> Iterator[RabbitMq]:
    require(RabbitMq)
    LimitedRabbitMq.secrets = secrets
    with running(LimitedRabbitMq) as server:
        yield server


def connected(server: MariaDb, user: str, password: str) -> "pymysql.Connection[pymysql.cursors.Cursor]":
    return pymysql.connect(
        host="127.0.0.1", port=server.port, user=user, password=password, database="renderctl", autocommit=True
    )


@pytest.fixture(scope="module")
def tables(database: MariaDb, secrets: Path) -> MariaDb:
    """The database, with the tables that its owner has made."""
    environment = {
        "RENDERCTL_DATABASE__URL": f"mysql+pymysql://renderctl@127.0.0.1:{database.port}/renderctl",
        "RENDERCTL_DATABASE__PASSWORD_FILE": str(secrets / "mysql_password"),
        "RENDERCTL_AUDIT__KEY_FILE": str(secrets / "audit_key"),
        "RENDERCTL_DATA_DIR": str(secrets.parent / "data"),
    }
    for _ in range(2):  # it is run at each start
        words = [sys.executable, "-m", "renderctl", "database", "upgrade"]
        subprocess.run(words, env=os.environ | environment, cwd=secrets, check=True)
    return database


@pytest.fixture(params=NAMES)
def farm(
    request: pytest.FixtureRequest,
    tables: MariaDb,
    cache: LimitedRedis,
    broker: RabbitMq,
    secrets: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Farm]:
    """The farm as the server or a worker of compose/ sees it."""
    name = request.param
    environment = {
        "RENDERCTL_DATABASE__URL": f"mysql+pymysql://{name}@127.0.0.1:{tables.port}/renderctl",
        "RENDERCTL_QUEUE__KIND": "rabbitmq",
        "RENDERCTL_QUEUE__URL": f"amqp://{name}@127.0.0.1:{broker.port}/",
        "RENDERCTL_CACHE__KIND": "redis",
        "RENDERCTL_CACHE__URL": f"redis://{name}@127.0.0.1:{cache.port}/0",
        "RENDERCTL_WORKER__HEARTBEAT": "0.1",
        "RENDERCTL_WORKER__HEARTBEAT_LIMIT": "1",
    }
    for group in ("DATABASE", "QUEUE", "CACHE"):
        environment[f"RENDERCTL_{group}__PASSWORD_FILE"] = str(secrets / f"{name}_password")
    monkeypatch.chdir(tmp_path)
    farm = make_farm(tmp_path / "data", settings=load_settings(None, environment, default_data_dir=tmp_path / "data"))
    yield farm
    close(farm)


def test_the_farm_works_with_the_rights_that_it_has(farm: Farm) -> None:
    job = given_job(farm, "1-5")
    with at_work(farm):
        wait_for(farm, lambda: farm.repository.jobs.get(job.id).state is JobState.SUCCEEDED, within_s=60.0)
    sweep(farm, "w1", afresh=True)
    assert farm.repository.outputs.count(job.id) == 5
    broken = [finding for finding in doctor(farm, ACTOR) if not finding.ok]
    assert broken == []


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "statement",
    [
        "DROP TABLE tasks",
        "ALTER TABLE tasks ADD COLUMN more INT",
        "CREATE TABLE more (id INT)",
        "CREATE USER more",
        "SELECT * FROM mysql.user",
        "SELECT 1 INTO OUTFILE '/tmp/more'",
        "GRANT ALL ON renderctl.* TO worker",
    ],
)
def test_neither_changes_tables_or_sees_other_databases(
    tables: MariaDb, secrets: Path, name: str, statement: str
) -> None:
    connection = connected(tables, name, (secrets / f"{name}_password").read_text())
    with connection, connection.cursor() as cursor, pytest.raises(pymysql.err.MySQLError, match="denied"):
        cursor.execute(statement)


def test_the_owner_of_the_tables_owns_nothing_else(tables: MariaDb, secrets: Path) -> None:
    connection = connected(tables, "renderctl", (secrets / "mysql_password").read_text())
    with connection, connection.cursor() as cursor:
        cursor.execute("SHOW DATABASES")
        assert {name for (name,) in cursor.fetchall()} <= {"renderctl", "information_schema"}
        with pytest.raises(pymysql.err.MySQLError, match="denied"):
            cursor.execute("CREATE DATABASE more")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("command", ["FLUSHALL", "CONFIG GET *", "KEYS *", "GET other", "SET other 1", "ACL LIST"])
def test_neither_rules_redis_or_reads_keys_of_others(cache: LimitedRedis, name: str, command: str) -> None:
    client = redis.Redis(port=cache.port, username=name, password=cache.password(f"{name}_password"))
    with client, pytest.raises(redis.exceptions.NoPermissionError):
        client.execute_command(*command.split())  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("name", NAMES)
def test_neither_rules_the_broker_or_uses_queues_of_others(broker: RabbitMq, secrets: Path, name: str) -> None:
    password = (secrets / f"{name}_password").read_text()
    credentials = pika.PlainCredentials(name, password)
    with pika.BlockingConnection(
        pika.ConnectionParameters("127.0.0.1", broker.port, credentials=credentials)
    ) as connection:
        with pytest.raises(ChannelClosedByBroker, match="ACCESS_REFUSED"):
            connection.channel().queue_declare("other", durable=True)
        with pytest.raises(ChannelClosedByBroker, match="ACCESS_REFUSED"):
            connection.channel().exchange_declare("other")
    api = urlsplit(broker.api_url)._replace(netloc=f"{name}:x@127.0.0.1:{broker.api_port}")
    with pytest.raises(HTTPError):
        ask(api.geturl(), "GET", "/api/queues")


def test_nobody_gets_in_as_another(broker: RabbitMq, secrets: Path) -> None:
    users = json.loads((secrets / "rabbitmq_definitions").read_text())["users"]
    assert {user["name"]: user["tags"] for user in users} == {
        "renderctl": ["administrator"],
        "server": [],
        "worker": [],
    }
    assert len({user["password_hash"] for user in users}) == 3
    with pytest.raises(pika.exceptions.ProbableAuthenticationError):
        pika.BlockingConnection(
            pika.ConnectionParameters("127.0.0.1", broker.port, credentials=pika.PlainCredentials("worker", "server"))
        )
