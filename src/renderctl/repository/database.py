"""Units of work on one database: retried when they lose against others, and with the database's own clock."""

import logging
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Engine, Row, select, text
from sqlalchemy.exc import DBAPIError, InternalError, OperationalError, TimeoutError

from renderctl.core.actors import Actor
from renderctl.core.errors import DatabaseUnavailable, RenderctlError
from renderctl.core.ids import new_token
from renderctl.repository.audit_chain import ChainHead, SigningKeys, extend, signed
from renderctl.repository.db_errors import busy, lost_race, read_only, tries, unavailable
from renderctl.repository.jobs.counts import CountChanges
from renderctl.repository.schema.audit import audits

logger = logging.getLogger(__name__)
Result = TypeVar("Result")

_NOW = text("SELECT UTC_TIMESTAMP(6)")


@dataclass
class UnitOfWork:
    """The unit of work that a connection is in."""

    deed: str | None = None  #: the id of a person's deed
    now: datetime | None = None  #: the time of the database, once it was asked
    entries: list[dict[str, Any]] = field(default_factory=list)  #: for the audit log
    counts: CountChanges = field(default_factory=CountChanges)  #: of jobs


@dataclass(frozen=True)
class Happened(Generic[Result]):
    """A write that was committed although nobody heard of it, and what it came to."""

    result: Result


class Database:
    """Units of work on one database; the base of every part of the repository."""

    def __init__(
        self, engine: Engine, *, now: Callable[[], datetime], heartbeat_limit_s: float, seal: SigningKeys | None = None
    ) -> None:
        self.engine = engine
        self.seal = seal or SigningKeys()
        self.heartbeat_limit_s = heartbeat_limit_s
        self._now = now
        self._waiting = threading.Event()  # never set: something to wait on between two tries

    def now(self, connection: Connection) -> datetime:
        """The time of the database, one and the same for a unit of work: node clocks are never compared."""
        unit: UnitOfWork = connection.info["unit"]
        if unit.now is None:
            on_sqlite = connection.dialect.name == "sqlite"
            unit.now = self._now() if on_sqlite else connection.execute(_NOW).scalar_one().replace(tzinfo=UTC)
        return unit.now

    def write(
        self, work: Callable[[Connection], Result], *, known: Callable[[Connection], Result | None] | None = None
    ) -> Result:
        """Run `work` in one transaction; again when it lost against another one. Raises DatabaseUnavailable.

        When the answer to a COMMIT was lost, nobody knows whether it is done. Then `known` is asked first, in the
        next try: what `work` has returned if it is, else None. Work that may be done twice needs no `known`.
        """

        def recovered(connection: Connection) -> Happened[Result] | None:
            result = known(connection) if known else None
            return Happened(result) if result is not None else None

        return self._writing(work, recovered, UnitOfWork, durable=False)

    def deed(
        self,
        work: Callable[[Connection], Result],
        *,
        done: Callable[[Connection, Row[Any]], Result] | None = None,
    ) -> Result:
        """What a person does: a write that has reached the disk when this returns, whatever happens to the machine.

        One whose answer was lost is known by its row in the audit log: what it has returned, or what `done` makes of
        the row, is the result then.
        """
        deed, results = new_token(), list[Result]()

        def working(connection: Connection) -> Result:
            results.append(work(connection))
            return results[-1]

        def recovered(connection: Connection) -> Happened[Result] | None:
            row = connection.execute(select(audits).where(audits.c.deed == deed)).first()
            if row is None:
                return None
            return Happened(done(connection, row) if done else results[0])

        return self._writing(working, recovered, lambda: UnitOfWork(deed), durable=True)

    def read(self, work: Callable[[Connection], Result]) -> Result:
        """Run `work`, which changes nothing: on SQLite on one snapshot, on MySQL on one for each statement.

        Raises DatabaseUnavailable.
        """

        def reading() -> Result:
            with self.engine.connect().execution_options(reads=True) as connection, connection.begin():
                connection.info["unit"] = UnitOfWork()
                return work(connection)

        return self._retrying(reading)

    def audit(self, connection: Connection, actor: Actor, action: str, subject: str, **details: Any) -> None:
        """Leave a row that says who did what to what, in the deed's own transaction."""
        self.note_outcome(connection, actor, action, subject, outcome="done", details=details)

    def note_outcome(
        self,
        connection: Connection,
        actor: Actor,
        action: str,
        subject: str,
        *,
        outcome: str,
        details: Mapping[str, Any],
    ) -> None:
        """As `audit`, of what came to another end."""
        unit: UnitOfWork = connection.info["unit"]
        row = {"at": self.now(connection), "actor": actor.name, "kind": actor.kind, "action": action}
        whence = {"via": actor.via, "address": actor.address, "outcome": outcome}
        told = {"subject": subject[:255], "details": dict(details), "deed": unit.deed or new_token()}
        unit.entries.append(row | whence | told)

    def chain_audit(self, *, once: bool = False) -> None:
        """Give the entries of the audit log that wait for one a place in its chain, and remember its end here.

        `once`: one batch; and should that fail, whoever comes next does it. Raises DatabaseUnavailable.
        """
        try:
            while extended := self._extended() if once else self._retrying(self._extended):
                head, more = extended
                if self.seal.head:
                    self.seal.head.keep(head)
                if once or not more:
                    return
        except (DBAPIError, DatabaseUnavailable) as error:
            if not once:
                raise
            logger.info("the audit log is not chained up to its end: %s", error)

    def _extended(self) -> tuple[ChainHead, bool] | None:
        with self.engine.begin() as connection:
            return extend(connection, self.seal)

    def _tell(self, connection: Connection, entries: Sequence[dict[str, Any]]) -> ChainHead | None:
        """Write what the deed has to say; where there is one writer at a time, into the chain at once."""
        if not entries:
            return None
        connection.execute(audits.insert(), [signed(connection, entry, self.seal) for entry in entries])
        extended = extend(connection, self.seal) if connection.dialect.name == "sqlite" else None
        return extended[0] if extended else None

    def close(self) -> None:
        self.engine.dispose()

    def _writing(
        self,
        work: Callable[[Connection], Result],
        recovered: Callable[[Connection], "Happened[Result] | None"],
        unit: Callable[[], UnitOfWork],
        *,
        durable: bool,
    ) -> Result:
        """While a COMMIT is in doubt, the server may still be at it: whether it has happened is asked before the next
        try, after its work (which has waited for the locks of the first), and when that fails on what the first did.
        """
        in_doubt = False  # from when COMMIT is sent until its answer is here

        def writing() -> Result:
            nonlocal in_doubt
            connecting = self.engine.connect().execution_options(durable=durable)
            with connecting as connection, connection.begin() as transaction:
                connection.info["unit"] = current = unit()
                if in_doubt and (earlier := recovered(connection)) is not None:
                    return earlier.result
                result = work(connection)
                if in_doubt and (earlier := recovered(connection)) is not None:
                    transaction.rollback()
                    return earlier.result
                head = self._tell(connection, current.entries)
                current.counts.write(connection)
                in_doubt = True
                transaction.commit()
            if head and self.seal.head:
                self.seal.head.keep(head)
            if current.entries and not head:
                self.chain_audit(once=True)
            return result

        def trying() -> Result:
            try:
                return writing()
            except RenderctlError:
                if in_doubt and (earlier := self.read(recovered)) is not None:
                    return earlier.result
                raise

        return self._retrying(trying)

    def _retrying(self, unit: Callable[[], Result]) -> Result:
        for attempt in count(1):
            try:
                return unit()
            except TimeoutError as error:
                raise busy(self.engine) from error
            except DBAPIError as error:
                outage = isinstance(error, OperationalError | InternalError) or error.connection_invalidated
                if not outage and not lost_race(error):
                    raise
                if read_only(error):
                    self.engine.dispose()  # the address may lead to another server by now
                if attempt >= tries(self.engine, error):
                    if not outage:
                        raise
                    raise unavailable(self.engine, error) from error
                logger.info("transaction lost, try %d: %s", attempt, error.orig)
                self._waiting.wait(random.uniform(0.2, 1.0) * 0.005 * 2**attempt)
        raise AssertionError("unreachable")
