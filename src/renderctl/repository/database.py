"""The connection: one engine for SQLite and MySQL, units of work, retries, and the database's own clock."""

import logging
import random
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, OperationalError

from renderctl.actors import Actor
from renderctl.errors import DatabaseUnavailable
from renderctl.repository.tables import audits

logger = logging.getLogger(__name__)
Result = TypeVar("Result")

#: MySQL: dead-lock, lock wait time-out, server gone, lost connection. SQLite: locked.
_PASSING = ("(1213,", "(1205,", "(2006,", "(2013,", "database is locked", "database table is locked")
_TRIES = 6


def open_engine(url: str) -> Engine:
    """An engine for `sqlite:///FILE` or `mysql+pymysql://…`, set up the way the repository needs it."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(url)
    return create_engine(url, isolation_level="READ COMMITTED", pool_pre_ping=True, pool_recycle=1800)


def _sqlite(url: str) -> Engine:
    engine = create_engine(url, connect_args={"timeout": 30.0})

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves: the driver would begin too late to exclude others
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        if options.get("reads"):
            connection.exec_driver_sql("BEGIN")
            return
        # A power cut may take back what the farm did (it does it again), never what a person was told.
        connection.exec_driver_sql(f"PRAGMA synchronous = {'FULL' if options.get('durable') else 'NORMAL'}")
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


class Database:
    """Units of work on one database; the base of every part of the repository."""

    def __init__(self, engine: Engine, *, now: Callable[[], datetime], heartbeat_limit_s: float) -> None:
        self.engine = engine
        self.heartbeat_limit_s = heartbeat_limit_s
        self._now = now
        self._waiting = threading.Event()  # never set: something to wait on between two tries

    def now(self, connection: Connection) -> datetime:
        """The time of the database: node clocks are never compared."""
        if connection.dialect.name == "sqlite":
            return self._now()
        moment: datetime = connection.execute(text("SELECT UTC_TIMESTAMP(6)")).scalar_one()
        return moment.replace(tzinfo=UTC)

    def write(self, work: Callable[[Connection], Result], *, durable: bool = False) -> Result:
        """Run `work` in one transaction; again when it lost against another one. Raises DatabaseUnavailable.

        A `durable` one has reached the disk when this returns, whatever happens to the machine.
        """

        def writing() -> Result:
            with self.engine.connect().execution_options(durable=durable) as connection, connection.begin():
                return work(connection)

        return self._retrying(writing)

    def deed(self, work: Callable[[Connection], Result]) -> Result:
        """A durable write: for what people do."""
        return self.write(work, durable=True)

    def read(self, work: Callable[[Connection], Result]) -> Result:
        """Run `work` on one snapshot. Raises DatabaseUnavailable."""

        def reading() -> Result:
            with self.engine.connect().execution_options(reads=True) as connection, connection.begin():
                return work(connection)

        return self._retrying(reading)

    def audit(self, connection: Connection, actor: Actor, action: str, subject: str, **details: Any) -> None:
        """Leave a row that says who did what to what, in the deed's own transaction."""
        row = {"at": self.now(connection), "actor": actor.name, "kind": actor.kind, "action": action}
        connection.execute(audits.insert(), {**row, "subject": subject, "details": details})

    def close(self) -> None:
        self.engine.dispose()

    def _retrying(self, unit: Callable[[], Result]) -> Result:
        for attempt in range(1, _TRIES + 1):
            try:
                return unit()
            except DBAPIError as error:
                if not isinstance(error, OperationalError) and not error.connection_invalidated:
                    raise
                if attempt == _TRIES or not any(sign in str(error.orig) for sign in _PASSING):
                    raise unavailable(self.engine, error) from error
                logger.info("transaction lost, try %d: %s", attempt, error.orig)
                self._waiting.wait(random.uniform(0.2, 1.0) * 0.01 * 2**attempt)
        raise AssertionError("unreachable")


def unavailable(engine: Engine, error: DBAPIError) -> DatabaseUnavailable:
    """What went wrong, in a sentence without the password."""
    place = engine.url.database if engine.dialect.name == "sqlite" else engine.url.render_as_string(hide_password=True)
    return DatabaseUnavailable(
        f"The database {place} does not answer: {error.orig}.",
        hint="Is the disk full, or the folder not writable?" if engine.dialect.name == "sqlite" else "Is it running?",
    )
