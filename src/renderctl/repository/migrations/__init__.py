"""Alembic migrations: an empty database is set up, an old one is upgraded by a command and refused otherwise."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, Engine, func, inspect, select, text
from sqlalchemy.exc import DBAPIError

from renderctl.core.errors import Conflict, DatabaseOutdated, DatabaseUnavailable
from renderctl.core.ids import new_token
from renderctl.core.states import PRESENT_WORKER_STATES
from renderctl.repository.database.engine import collation, open_engine
from renderctl.repository.database.errors import error_number, unavailable
from renderctl.repository.schema.jobs import workers

logger = logging.getLogger(__name__)

#: The newest revision in `versions/`; a test holds the two together. Known here so that no start pays for Alembic.
HEAD = "0020"
#: The oldest servers that know SKIP LOCKED.
_OLDEST = {True: (10, 6), False: (8, 0, 17)}
_UNKNOWN_DATABASE = 1049
#: Seconds that a server waits for whoever is at the tables at this moment, and how often it is asked to.
_LOCK_S, _LOCK_TRIES = 5, 60


def require_current(engine: Engine) -> None:
    """Set up an empty database. Raises DatabaseOutdated for one that another version of renderctl has made."""
    try:
        revision = current_revision(engine)
    except DatabaseUnavailable as error:
        if not _unknown_database(error):
            raise
        _create_database(engine)
        revision = None
    if revision not in (None, HEAD):
        with engine.connect() as connection, _alone(connection):  # somebody may be about to bring it there
            revision = _read_revision(connection)
    if revision is None:
        upgrade(engine)
    elif revision != HEAD:
        newer = revision > HEAD
        raise DatabaseOutdated(
            f"The database is at revision {revision}, this renderctl needs {HEAD}.",
            hint="Install the newer renderctl." if newer else "`renderctl database upgrade` brings it up to date.",
        )


def current_revision(engine: Engine) -> str | None:
    """The revision of the database; None: it is empty. Raises DatabaseUnavailable."""
    try:
        with engine.connect().execution_options(reads=True) as connection:
            _require_new_enough(connection)
            return _read_revision(connection)
    except DBAPIError as error:
        raise unavailable(engine, error) from error


def _read_revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision


def upgrade(engine: Engine) -> str:
    """Bring the database to the newest revision; the revision. Raises DatabaseUnavailable.

    On SQLite in one transaction. MySQL has none for that: one upgrade at a time, and what a killed one has left
    half done the next one finishes.
    """
    from alembic import command
    from alembic.config import Config

    logging.getLogger("alembic").setLevel(logging.WARNING)
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    try:
        # committed before the lock is released: the next one reads the revision then
        with engine.connect() as connection, _alone(connection), connection.begin():
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except DBAPIError as error:
        raise unavailable(engine, error) from error
    return HEAD


def fence_workers(engine: Engine, heartbeat_limit_s: float) -> None:
    """Before an upgrade: whoever works with the old tables is gone, and not known if they were only asleep.

    Raises Conflict while the heart of a worker beats, DatabaseUnavailable.
    """
    present = select(workers.c.id, workers.c.seen_at).where(workers.c.state.in_(sorted(PRESENT_WORKER_STATES)))
    try:
        with engine.begin() as connection:
            rows = connection.execute(present.order_by(workers.c.id).with_for_update()).all()
            silent = _now(connection) - timedelta(seconds=heartbeat_limit_s)
            beating = [row.id for row in rows if row.seen_at >= silent]
            if not beating:
                connection.execute(workers.update().values(incarnation=new_token()))
    except DBAPIError as error:
        raise unavailable(engine, error) from error
    if beating:
        raise Conflict(
            f"{len(beating)} of the farm's workers are at work, such as {beating[0]}.",
            hint="Stop workers and servers, then upgrade. Who was killed counts as gone "
            f"{heartbeat_limit_s:g} s after their last heartbeat.",
        )


def _now(connection: Connection) -> datetime:
    if connection.dialect.name == "sqlite":
        return datetime.now(UTC)
    now: datetime = connection.execute(select(func.utc_timestamp(6))).scalar_one()
    return now.replace(tzinfo=UTC)


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    """Wait until nobody else changes the tables. (SQLite: the transaction does that.)"""
    if connection.dialect.name == "sqlite":
        yield
        return
    lock = {"lock": f"renderctl {connection.engine.url.database}"[:64]}
    for _ in range(_LOCK_TRIES):
        if connection.scalar(text(f"SELECT GET_LOCK(:lock, {_LOCK_S})"), lock):
            break
        logger.warning("another renderctl is setting up or upgrading the database; waiting for it")
    else:
        raise DatabaseUnavailable("Another renderctl is setting up or upgrading the database.", hint="Try again later.")
    connection.rollback()  # the lock outlives the transaction in which it was taken
    try:
        yield
    finally:
        connection.execute(text("DO RELEASE_LOCK(:lock)"), lock)


def _require_new_enough(connection: Connection) -> None:
    dialect = connection.dialect
    if dialect.name == "sqlite":
        return
    mariadb = bool(getattr(dialect, "is_mariadb", False))
    version, oldest = dialect.server_version_info or (0,), _OLDEST[mariadb]
    if tuple(version[: len(oldest)]) < oldest:
        name = "MariaDB" if mariadb else "MySQL"
        shown, needed = (".".join(str(part) for part in each) for each in (version, oldest))
        raise DatabaseUnavailable(
            f"The database is {name} {shown}.", hint=f"renderctl needs {name} {needed} or newer (SKIP LOCKED)."
        )


def _unknown_database(error: DatabaseUnavailable) -> bool:
    return isinstance(error.__cause__, DBAPIError) and error_number(error.__cause__) == _UNKNOWN_DATABASE


def _create_database(engine: Engine) -> None:
    """Make it where that is allowed. Raises DatabaseUnavailable with what an administrator has to do."""
    server = open_engine(engine.url.set(database="information_schema").render_as_string(hide_password=False))
    name = engine.dialect.identifier_preparer.quote_identifier(str(engine.url.database))
    try:
        with server.connect() as connection:
            sort = collation(server)
            connection.execute(text(f"CREATE DATABASE IF NOT EXISTS {name} CHARACTER SET utf8mb4 COLLATE {sort}"))
    except DBAPIError as error:
        raise unavailable(engine, error) from error
    finally:
        server.dispose()
