"""Engines: connections to SQLite and MySQL, set up so that one code serves both."""

from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from renderctl.core.errors import BadSettings
from renderctl.core.private_files import make_private

#: MySQL, in seconds. No query of the farm takes as long as a read may: a server that does not answer by then is frozen.
#: `?read_timeout=60` in the URL says otherwise.
_CONNECT_TIMEOUT_S, _ANSWER_TIMEOUT_S = 5, 10
#: Seconds for which a statement waits for another transaction's lock before the whole unit of work is tried again.
_LOCK_WAIT_S = 3
#: Seconds after which the server ends a connection that stopped in the middle of a transaction: a frozen machine, or
#: one without a network, must not hold locks. MySQL knows no such limit, only one for every silent connection.
_IDLE_TRANSACTION_S, _SILENT_CONNECTION_S = 20, 90
#: Seconds after which a connection is replaced by a new one; how many are kept (more are made while they are needed,
#: unless `?connections=8` in the URL says how many there are at most).
_RECYCLE_S, _POOL = 60, 64
#: Bytes of a text that the server makes of many rows: MySQL cuts it off after 1024 of them, and says nothing.
_LONGEST_TEXT = 16 * 1024**2
#: Whether a job has work is looked up in the index, job for job. Left to itself the server collects the waiting tasks
#: of all jobs first, and reads the whole table for it.
_OPTIMIZER = "semijoin=off,materialization=off"
_SQL_MODE = "STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"


def open_engine(url: str, *, patient: bool = False) -> Engine:
    """Return an engine for `sqlite:///FILE` or `mysql://…`, set up as the repository needs it. Raises BadSettings.

    A `patient` one waits for answers as long as they take: for changes to large tables.
    """
    parsed = parse_url(url)
    return _sqlite(parsed) if parsed.get_backend_name() == "sqlite" else _mysql(parsed, patient=patient)


def parse_url(url: str) -> URL:
    """Return the parts of `database.url`. Raises BadSettings, without the password."""
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
    except (ArgumentError, ValueError) as error:
        raise _bad_url("is not a URL") from error
    if backend == "sqlite":
        return parsed
    if backend not in ("mysql", "mariadb"):
        raise _bad_url(f"names {backend!r}, which is no database that renderctl speaks to")
    if "@" in (parsed.host or ""):
        raise BadSettings(
            "The password in database.url holds characters that mean something in a URL.",
            hint="Write them as %XX: @ is %40, / is %2F, : is %3A, % is %25.",
        )
    if not parsed.host or not parsed.database:
        raise _bad_url("names no host or no database")
    return parsed.set(drivername="mysql+pymysql")


def _bad_url(problem: str) -> BadSettings:
    hint = "It looks like mysql+pymysql://USER:PASSWORD@HOST:3306/renderctl, or sqlite:////FOLDER/renderctl.db."
    return BadSettings(f"database.url {problem}.", hint=hint)


def collation(engine: Engine) -> str:
    """Return the collation that compares texts byte by byte, as SQLite does: MySQL and MariaDB have different names for
    it.
    """
    return "utf8mb4_nopad_bin" if getattr(engine.dialect, "is_mariadb", False) else "utf8mb4_0900_bin"


def _mysql(url: URL, *, patient: bool) -> Engine:
    answer_s = None if patient else _number(url, "read_timeout", _ANSWER_TIMEOUT_S)
    most = _number(url, "connections", 0)
    arguments = {
        "charset": "utf8mb4",
        "connect_timeout": _CONNECT_TIMEOUT_S,
        "read_timeout": answer_s,
        "write_timeout": answer_s,
        "sql_mode": _SQL_MODE,
        "init_command": "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    }
    # A unit of work is tried again when its connection turns out to be lost, and ends its transaction itself: asking
    # a pooled connection beforehand whether it lives, and rolling it back afterwards, would cost two round trips more.
    engine = create_engine(
        url.difference_update_query(["read_timeout", "connections"]),
        connect_args=arguments,
        pool_size=most or _POOL,
        max_overflow=0 if most else -1,
        pool_use_lifo=True,
        pool_recycle=_RECYCLE_S,
        pool_reset_on_return=None,
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        mariadb = "MariaDB" in connection.get_server_info()
        switches = _OPTIMIZER + (",exists_to_in=off" if mariadb else "")
        limits: dict[str, Any] = {
            "innodb_lock_wait_timeout": _LOCK_WAIT_S,
            "group_concat_max_len": _LONGEST_TEXT,
            "optimizer_switch": f"'{switches}'",
        }
        if not patient:
            limits |= {"idle_transaction_timeout": _IDLE_TRANSACTION_S} if mariadb else {}
            limits |= {} if mariadb else {"wait_timeout": _SILENT_CONNECTION_S}
        with connection.cursor() as cursor:
            cursor.execute("SET SESSION " + ", ".join(f"{name} = {value}" for name, value in limits.items()))

    return engine


def _number(url: URL, name: str, usual: int) -> int:
    text = str(url.query.get(name, usual))
    if not text.isdigit():
        raise BadSettings(f"In database.url, {name} is a whole number.")
    return int(text)


def _sqlite(url: URL) -> Engine:
    engine = create_engine(url, connect_args={"timeout": 30.0})

    @event.listens_for(engine, "do_connect")
    def _guard(_dialect: Any, _record: Any, arguments: Any, _keywords: Any) -> None:
        if not arguments[0].startswith((":memory:", "file:")):
            make_private(Path(arguments[0]))  # it holds digests of passwords

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # BEGIN is sent explicitly: the driver would begin too late to exclude others
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
        # A power cut may undo what the farm did (it does it again), never what a person did.
        connection.exec_driver_sql(f"PRAGMA synchronous = {'FULL' if options.get('durable') else 'NORMAL'}")
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine
