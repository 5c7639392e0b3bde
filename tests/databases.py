"""Both databases for the tests of the repository: SQLite in a folder, MySQL on a server, each set up and empty."""

import importlib
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection, Table, event
from sqlalchemy.exc import OperationalError
from sqlmodel import SQLModel

from renderctl.core.clocks import Clock, SystemClock
from renderctl.core.settings import DatabaseSettings
from renderctl.farm import Farm
from renderctl.repository import open_repository
from renderctl.repository.database.engine import open_engine
from tests.farms import make_farm, quick_settings
from tests.services import MariaDb
from tests.services.fixtures import url_of
from tests.services.fresh import fresh_mysql

BOTH = ["sqlite", pytest.param("mysql", marks=pytest.mark.services)]


@pytest.fixture(scope="session")
def _set_up_mysql() -> Iterator[str]:
    """A database that is set up once, since that takes a while, and emptied for every test."""
    with fresh_mysql(url_of(MariaDb)) as url:
        open_repository(url, now=SystemClock().now, heartbeat_limit_s=1.0).close()
        yield url


def all_tables() -> list[Table]:
    """Every table, also of parts of the repository that nothing has used yet."""
    for name in ("audit", "counts", "jobs", "people", "quotas", "webhooks"):
        importlib.import_module(f"renderctl.repository.schema.{name}")
    return list(SQLModel.metadata.tables.values())


@pytest.fixture
def ready_mysql_url(_set_up_mysql: str) -> str:
    """The URL of a MySQL database that is set up and holds nothing."""
    engine = open_engine(_set_up_mysql)
    with engine.begin() as connection:
        connection.exec_driver_sql("SET FOREIGN_KEY_CHECKS = 0")
        for table in all_tables():
            connection.execute(table.delete())
        connection.exec_driver_sql("SET FOREIGN_KEY_CHECKS = 1")
    engine.dispose()
    return _set_up_mysql


@pytest.fixture(params=BOTH)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database of either kind for a farm in `tmp_path`, set up and empty."""
    if request.param == "mysql":
        return str(request.getfixturevalue("ready_mysql_url"))
    return f"sqlite:///{tmp_path / 'renderctl.db'}"


@pytest.fixture(params=BOTH)
def new_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database of either kind that nobody has set up."""
    if request.param == "mysql":
        return str(request.getfixturevalue("mysql_url"))
    return f"sqlite:///{tmp_path / 'new.db'}"


def farm_on(url: str, folder: Path, clock: Clock | None = None) -> Farm:
    """A farm in the folder, on the database; where the clock is turned by hand, the database's is."""
    database = DatabaseSettings(None if url.startswith("sqlite") else url)
    return make_farm(folder, clock=clock, settings=replace(quick_settings(folder), database=database))


@contextmanager
def writes(farm: Farm) -> Iterator[list[Connection]]:
    """The transactions that may write, of those that begin within the context."""
    begun: list[Connection] = []

    def note(connection: Connection) -> None:
        if not connection.get_execution_options().get("reads"):
            begun.append(connection)

    event.listen(farm.repository.database.engine, "begin", note)
    yield begun
    event.remove(farm.repository.database.engine, "begin", note)


class Outage:
    """A database that answers no new transaction while it is away."""

    def __init__(self, farm: Farm) -> None:
        self.away = False
        self.refused = 0
        event.listen(farm.repository.database.engine, "begin", self._begin)

    def _begin(self, _connection: Connection) -> None:
        if self.away:
            self.refused += 1
            raise OperationalError("BEGIN", {}, sqlite3.OperationalError("disk I/O error"))


@pytest.fixture
def outage(farm: Farm) -> Outage:
    return Outage(farm)
