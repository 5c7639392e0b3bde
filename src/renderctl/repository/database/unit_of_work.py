"""The unit of work that a connection is in: its time, and what its commit writes into the audit log and the counts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, text

from renderctl.core.actors import Actor
from renderctl.core.ids import new_token
from renderctl.repository.database.count_changes import CountChanges

_NOW = text("SELECT UTC_TIMESTAMP(6)")


@dataclass
class UnitOfWork:
    """What belongs to one transaction, until it is committed."""

    node_clock: Callable[[], datetime]  #: of this machine: on SQLite the clock of the database, too
    operation_id: str | None = None  #: of a durable write; its row of the audit log has it
    now: datetime | None = None  #: the time of the database, once it was asked
    entries: list[dict[str, Any]] = field(default_factory=list)  #: for the audit log
    counts: CountChanges = field(default_factory=CountChanges)  #: of jobs


def unit_of(connection: Connection) -> UnitOfWork:
    """The unit of work that the connection is in."""
    unit: UnitOfWork = connection.info["unit"]
    return unit


def db_now(connection: Connection) -> datetime:
    """The time of the database in UTC, one and the same for a unit of work: clocks of nodes are never compared."""
    unit = unit_of(connection)
    if unit.now is None:
        on_sqlite = connection.dialect.name == "sqlite"
        unit.now = unit.node_clock() if on_sqlite else connection.execute(_NOW).scalar_one().replace(tzinfo=UTC)
    return unit.now


def add_audit_entry(connection: Connection, actor: Actor, action: str, subject: str, **details: Any) -> None:
    """Have the commit of this transaction write who did what to what."""
    add_audit_outcome(connection, actor, action, subject, outcome="done", details=details)


def add_audit_outcome(
    connection: Connection, actor: Actor, action: str, subject: str, *, outcome: str, details: Mapping[str, Any]
) -> None:
    """As `add_audit_entry`, for what came to another end, such as `refused`."""
    unit = unit_of(connection)
    row = {"at": db_now(connection), "actor": actor.name, "kind": actor.kind, "action": action}
    origin = {"via": actor.via, "address": actor.address, "outcome": outcome}
    rest = {"subject": subject[:255], "details": dict(details), "deed": unit.operation_id or new_token()}
    unit.entries.append(row | origin | rest)
