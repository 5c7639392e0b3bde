"""Errors of the database: whether another try helps, and what to tell the user."""

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, IntegrityError

from renderctl.core.errors import DatabaseUnavailable

_TRIES, _TRIES_FOR_A_LOCK = 8, 3
#: MySQL errors that a second try may well not meet: a changed record, a deadlock; no free connection; a
#: connection or query that was killed, a server that shuts down.
_PASSING = frozenset({1020, 1213, 1040, 1203, 1053, 1317, 1927, 2006, 2013, 2014, 2045, 2055, 4031})
#: The lock wait timeout: another transaction has held a lock for so long that it may do so for longer.
_LOCK_HELD = 1205
#: Another transaction has inserted the same key: the next try finds it.
_DUPLICATE = 1062
_LOST = frozenset({2006, 2013})
#: A server that only reads, as the old one does after a failover.
_READ_ONLY = frozenset({1290, 1792, 1836})

_HINTS = {
    1040: "Raise the server's max_connections: a worker needs one for every slot and two more.",
    1203: "Raise max_user_connections for this user, or run fewer workers.",
    1226: "Raise the limits of this user (MAX_USER_CONNECTIONS, MAX_QUERIES_PER_HOUR), or run fewer workers.",
    1045: "Check the user and the password in database.url; a password's special characters are written as %XX.",
    1130: "The server lets this machine not in: create the user for it, as 'USER'@'%' or 'USER'@'HOST'.",
    1142: "The user may not do that: GRANT ALL ON the database to it.",
    1021: "The server's disk is full.",
    1114: "The server's disk is full.",
    1205: "Another connection holds what this one needs: is one of the workers' machines frozen?",
    2002: "Is it running, and does its address let this machine in?",
    2003: "Is it running, and does its address let this machine in?",
    1290: "The server takes no changes: point database.url at the one that does.",
    1792: "The server takes no changes: point database.url at the one that does.",
    1836: "The server takes no changes: point database.url at the one that does.",
}


def error_number(error: DBAPIError) -> int | None:
    """Return MySQL's number of the error."""
    number = error.orig.args[0] if error.orig is not None and error.orig.args else None
    return number if isinstance(number, int) else None


def tries(engine: Engine, error: DBAPIError) -> int:
    """Return how many tries a unit of work has that meets the error."""
    if engine.dialect.name == "sqlite":
        return _TRIES if "is locked" in str(error.orig) else 1
    number = error_number(error)
    if number == _LOCK_HELD:
        return _TRIES_FOR_A_LOCK
    if number in _LOST and "timed out" in str(error.orig):
        return 1  # waiting for no answer has taken long enough
    return _TRIES if number in _PASSING or error.connection_invalidated or lost_race(error) else 1


def lost_race(error: DBAPIError) -> bool:
    """Whether a row with the same key was there already."""
    return isinstance(error, IntegrityError) and error_number(error) == _DUPLICATE


def read_only(error: DBAPIError) -> bool:
    """Whether the server refuses changes."""
    return error_number(error) in _READ_ONLY


def unavailable(engine: Engine, error: DBAPIError) -> DatabaseUnavailable:
    """Return the error for the user, without the password."""
    if engine.dialect.name == "sqlite":
        place, hint = str(engine.url.database), "Is the disk full, or the folder not writable?"
        return DatabaseUnavailable(f"The database {place} does not answer: {error.orig}.", hint=hint)
    place = engine.url.set(query={}).render_as_string(hide_password=True)
    number, text = error_number(error), str(error.orig.args[-1] if error.orig and error.orig.args else error.orig)
    hint = _grant(engine) if number in (1044, 1049) else _HINTS.get(number or 0, "Is it running?")
    return DatabaseUnavailable(f"The database {place} fails: {text.rstrip('.')}.", hint=hint)


def busy(engine: Engine) -> DatabaseUnavailable:
    """Return the error for the user if no connection of this process became free."""
    place = engine.url.set(query={}).render_as_string(hide_password=True)
    hint = "Raise connections in database.url, or leave it out."
    return DatabaseUnavailable(
        f"All connections that this process may have to the database {place} are busy.", hint=hint
    )


def _grant(engine: Engine) -> str:
    name, user = engine.url.database, engine.url.username
    return (
        f"As an administrator of the server: CREATE DATABASE `{name}`; GRANT ALL ON `{name}`.* TO '{user}'@'%'; "
        "the tables are made by renderctl."
    )
