"""Transactions: retried when they lose against others, and recovered when the answer to their COMMIT was lost.

A part of the repository is a class of verbs. `@read`, `@write` and `@durable_write` run a method in one transaction of
that kind; the caller omits its parameter `connection`.
"""

import logging
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from itertools import count
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, Row, select
from sqlalchemy.exc import DBAPIError, InternalError, OperationalError, TimeoutError

from renderctl.core.audit import ChainHead
from renderctl.core.errors import DatabaseUnavailable, RenderctlError
from renderctl.core.ids import new_token
from renderctl.repository.database.audit_chain import SigningKeys, extend, signed
from renderctl.repository.database.errors import busy, lost_race, read_only, tries, unavailable
from renderctl.repository.database.unit_of_work import UnitOfWork
from renderctl.repository.schema.audit import audits

logger = logging.getLogger(__name__)
Result = TypeVar("Result")
Parameters = ParamSpec("Parameters")
AnyPart = TypeVar("AnyPart", bound="Part")


@dataclass(frozen=True)
class Recovered(Generic[Result]):
    """A write that was committed although its answer was lost, and its result."""

    result: Result


class Database:
    """Transactions on one database."""

    def __init__(
        self,
        engine: Engine,
        *,
        now: Callable[[], datetime],
        heartbeat_limit_s: float,
        signing_keys: SigningKeys | None = None,
    ) -> None:
        self.engine = engine
        self.signing_keys = signing_keys or SigningKeys()  #: of the audit log
        self.heartbeat_limit_s = heartbeat_limit_s  #: seconds of silence after which a worker counts as lost
        self._now = now
        self._never = threading.Event()  # never set: something to wait on

    def write(
        self, work: Callable[[Connection], Result], *, recover: Callable[[Connection], Result | None] | None = None
    ) -> Result:
        """Run `work` in one transaction, again if it lost against another one; return its result. Raises
        DatabaseUnavailable.

        When the answer to a COMMIT was lost, nobody knows whether it happened. Then `recover` is called first in the
        next try: it returns what `work` has returned if it happened, else None. Work that may be done twice needs none.
        """

        def recovered(connection: Connection) -> Recovered[Result] | None:
            result = recover(connection) if recover else None
            return Recovered(result) if result is not None else None

        return self._run_write(work, recovered, None, durable=False)

    def durable_write(
        self,
        work: Callable[[Connection], Result],
        *,
        recover: Callable[[Connection, Row[Any]], Result] | None = None,
    ) -> Result:
        """Run `work`, an action of a person: it has reached the disk when this returns, whatever happens to the
        machine.

        One whose answer was lost is recognized by its row in the audit log. Its result is what `work` has returned, or
        what `recover` makes of that row. Raises DatabaseUnavailable.
        """
        operation_id, results = new_token(), list[Result]()

        def working(connection: Connection) -> Result:
            results.append(work(connection))
            return results[-1]

        def recovered(connection: Connection) -> Recovered[Result] | None:
            row = connection.execute(select(audits).where(audits.c.deed == operation_id)).first()
            if row is None:
                return None
            return Recovered(recover(connection, row) if recover else results[0])

        return self._run_write(working, recovered, operation_id, durable=True)

    def read(self, work: Callable[[Connection], Result]) -> Result:
        """Run `work`, which changes nothing: on SQLite in one snapshot, on MySQL in one for each statement.

        Raises DatabaseUnavailable.
        """

        def reading() -> Result:
            with self.engine.connect().execution_options(reads=True) as connection, connection.begin():
                connection.info["unit"] = UnitOfWork(self._now)
                return work(connection)

        return self._with_retries(reading)

    def chain_audit(self, *, once: bool = False) -> None:
        """Append waiting entries of the audit log to its chain, and store its end on this machine.

        `once`: only one batch; if that fails, a later call does it. Raises DatabaseUnavailable.
        """
        try:
            while extended := self._extend_chain() if once else self._with_retries(self._extend_chain):
                head, more = extended
                if self.signing_keys.head:
                    self.signing_keys.head.save(head)
                if once or not more:
                    return
        except (DBAPIError, DatabaseUnavailable) as error:
            if not once:
                raise
            logger.info("the audit log is not chained up to its end: %s", error)

    def _extend_chain(self) -> tuple[ChainHead, bool] | None:
        with self.engine.begin() as connection:
            return extend(connection, self.signing_keys)

    def _flush_audit(self, connection: Connection, entries: Sequence[dict[str, Any]]) -> ChainHead | None:
        """Insert the entries of a unit of work; on SQLite, append them to the chain at once."""
        if not entries:
            return None
        connection.execute(audits.insert(), [signed(connection, entry, self.signing_keys) for entry in entries])
        extended = extend(connection, self.signing_keys) if connection.dialect.name == "sqlite" else None
        return extended[0] if extended else None

    def pause(self, seconds: float) -> None:
        """Wait so many seconds, with no transaction open."""
        self._never.wait(seconds)

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    def _run_write(
        self,
        work: Callable[[Connection], Result],
        recovered: Callable[[Connection], "Recovered[Result] | None"],
        operation_id: str | None,
        *,
        durable: bool,
    ) -> Result:
        """Write, and recover.

        While a COMMIT is in doubt, the server may still be at it. Whether it has happened is asked before the next try,
        after its work (which has waited for the locks of the first), and when that fails on what the first did.
        """
        in_doubt = False  # from when COMMIT is sent until its answer is here

        def writing() -> Result:
            nonlocal in_doubt
            connecting = self.engine.connect().execution_options(durable=durable)
            with connecting as connection, connection.begin() as transaction:
                connection.info["unit"] = current = UnitOfWork(self._now, operation_id)
                if in_doubt and (earlier := recovered(connection)) is not None:
                    return earlier.result
                result = work(connection)
                if in_doubt and (earlier := recovered(connection)) is not None:
                    transaction.rollback()
                    return earlier.result
                head = self._flush_audit(connection, current.entries)
                current.counts.write(connection)
                in_doubt = True
                transaction.commit()
            if head and self.signing_keys.head:
                self.signing_keys.head.save(head)
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

        return self._with_retries(trying)

    def _with_retries(self, unit: Callable[[], Result]) -> Result:
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
                self.pause(random.uniform(0.2, 1.0) * 0.005 * 2**attempt)
        raise AssertionError("unreachable")


class Part:
    """A part of the repository: verbs of one noun, on the database that all parts share."""

    def __init__(self, database: Database) -> None:
        self._database = database


def read(
    method: Callable[Concatenate[AnyPart, Connection, Parameters], Result],
) -> Callable[Concatenate[AnyPart, Parameters], Result]:
    """Run the method in one `Database.read`."""

    @wraps(method)
    def transaction(part: AnyPart, /, *args: Parameters.args, **keywords: Parameters.kwargs) -> Result:
        return part._database.read(lambda connection: method(part, connection, *args, **keywords))

    return transaction


def write(
    method: Callable[Concatenate[AnyPart, Connection, Parameters], Result],
) -> Callable[Concatenate[AnyPart, Parameters], Result]:
    """Run the method in one `Database.write`. It may be done twice."""

    @wraps(method)
    def transaction(part: AnyPart, /, *args: Parameters.args, **keywords: Parameters.kwargs) -> Result:
        return part._database.write(lambda connection: method(part, connection, *args, **keywords))

    return transaction


def durable_write(
    method: Callable[Concatenate[AnyPart, Connection, Parameters], Result],
) -> Callable[Concatenate[AnyPart, Parameters], Result]:
    """Run the method in one `Database.durable_write`, whose result is kept if the answer to its COMMIT is lost."""

    @wraps(method)
    def transaction(part: AnyPart, /, *args: Parameters.args, **keywords: Parameters.kwargs) -> Result:
        return part._database.durable_write(lambda connection: method(part, connection, *args, **keywords))

    return transaction
