"""Diagnostics of the database: whether it is set up as the farm needs it, and who works on it."""

from collections.abc import Iterator

from sqlalchemy import Connection, Engine, func, select, text

from renderctl.core.errors import DatabaseUnavailable
from renderctl.core.ids import new_token
from renderctl.core.jobs import Job
from renderctl.core.states import PRESENT_WORKER_STATES, JobState, TaskState
from renderctl.core.workers import Sweeper
from renderctl.repository.database import Part, db_now, read, unit_of, write
from renderctl.repository.database.engine import collation
from renderctl.repository.leases import SWEEP
from renderctl.repository.migrations import HEAD
from renderctl.repository.schema.jobs import jobs, leases, tasks, workers
from renderctl.repository.schema.mappers import to_job

#: Seconds by which two clocks may differ before the times shown would confuse people.
_CLOCKS_S = 60.0
#: Connections that a worker needs beside those of its slots.
_BESIDE_SLOTS = 2


class Diagnostics(Part):
    """Checks of the database itself."""

    @write
    def check(self, connection: Connection) -> str:
        """Check the database with a write; return what and where it is, in a few words. Raises DatabaseUnavailable."""
        if problem := next(_problems(connection), None):
            raise DatabaseUnavailable(f"The database {_place(self._database.engine)} {problem[0]}.", hint=problem[1])
        _try_writing(connection)
        count = connection.scalar(select(func.count()).select_from(jobs))
        return f"{_server(connection)}, {_place(self._database.engine)}, revision {HEAD}, {count} jobs"

    def advice(self) -> list[str]:
        """Return what could be better about the server, a sentence each. Raises DatabaseUnavailable."""
        if self._database.engine.dialect.name == "sqlite":
            return []

        def looking(connection: Connection) -> list[str]:
            return [*_durability_advice(connection), *_connection_advice(connection), *_clock_advice(connection)]

        return self._database.read(looking)

    @read
    def last_sweep(self, connection: Connection) -> Sweeper | None:
        """Return who holds the sweep's lease, or held it when it was killed; None: the last holder has released it."""
        now = db_now(connection)
        row = connection.execute(select(leases).where(leases.c.name == SWEEP)).first()
        if row is None:
            return None
        return Sweeper(row.holder, max(0.0, (now - row.until).total_seconds() + self._database.heartbeat_limit_s))

    @read
    def idle_jobs(self, connection: Connection, *, limit: int = 100) -> list[Job]:
        """Return jobs with queued tasks of which none is running, the oldest first."""
        of_the_job = tasks.c.job_id == jobs.c.id
        queued = select(tasks.c.number).where(of_the_job, tasks.c.state == TaskState.QUEUED)
        running = select(tasks.c.number).where(of_the_job, tasks.c.state == TaskState.RUNNING)
        query = (
            select(jobs)
            .where(jobs.c.state.in_((JobState.QUEUED, JobState.RUNNING)), queued.exists(), ~running.exists())
            .order_by(jobs.c.id)
            .limit(limit)
        )
        return [to_job(row) for row in connection.execute(query)]


def _try_writing(connection: Connection) -> None:
    """Do what every worker does all day, with a row that nobody else uses."""
    now, name = db_now(connection), f"doctor-{new_token()}"
    own_row = leases.c.name == name
    connection.execute(leases.insert(), {"name": name, "holder": "doctor", "since": now, "until": now})
    connection.execute(select(leases).where(own_row).with_for_update(skip_locked=True)).one()
    connection.execute(leases.update().where(own_row).values(holder="the doctor"))
    connection.execute(leases.delete().where(own_row))


def _clock_advice(connection: Connection) -> Iterator[str]:
    """Yield a sentence if the database's clock differs from this machine's by a minute."""
    ahead_s = (db_now(connection) - unit_of(connection).node_clock()).total_seconds()
    if abs(ahead_s) > _CLOCKS_S:
        which = "ahead of" if ahead_s > 0 else "behind"
        yield f"The database's clock is {abs(ahead_s):.0f} s {which} this machine's: times are shown by the former."


def _place(engine: Engine) -> str:
    if engine.dialect.name == "sqlite":
        return str(engine.url.database)
    return engine.url.set(query={}).render_as_string(hide_password=True)


def _server(connection: Connection) -> str:
    dialect = connection.dialect
    if dialect.name == "sqlite":
        return f"SQLite {connection.scalar(text('SELECT sqlite_version()'))}"
    name = "MariaDB" if getattr(dialect, "is_mariadb", False) else "MySQL"
    return f"{name} {str(connection.scalar(text('SELECT VERSION()'))).partition('-')[0]}"


def _problems(connection: Connection) -> Iterator[tuple[str, str]]:
    """Yield what makes the server unfit for the farm, and what to do about it, the worst first."""
    if connection.dialect.name == "sqlite":
        return
    variable = "tx_isolation" if _has(connection, "tx_isolation") else "transaction_isolation"
    level = str(connection.scalar(text(f"SELECT @@SESSION.{variable}")))
    if level != "READ-COMMITTED":
        hint = "Does a proxy drop `SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED`? It has to pass it on."
        yield f"isolates transactions by {level}", hint
    here = "FROM information_schema.tables WHERE table_schema = DATABASE() AND table_type = 'BASE TABLE'"
    for name, engine in connection.execute(text(f"SELECT table_name, engine {here} AND engine <> 'InnoDB'")):
        yield (
            f"keeps its table {name} in {engine}, which knows no transactions",
            f"ALTER TABLE `{name}` ENGINE = InnoDB",
        )
    expected = collation(connection.engine)
    strange = text(
        f"SELECT table_name, table_collation {here} AND table_collation <> :wanted AND table_name <> 'alembic_version'"
    )
    for name, sort in connection.execute(strange, {"wanted": expected}):
        hint = f"ALTER TABLE `{name}` CONVERT TO CHARACTER SET utf8mb4 COLLATE {expected}"
        yield f"compares the texts of its table {name} by {sort}, which takes some for the same that are not", hint


def _durability_advice(connection: Connection) -> Iterator[str]:
    if connection.scalar(text("SELECT @@innodb_flush_log_at_trx_commit")) != 1:
        yield (
            "A power cut may take back what people were told is done: "
            "set innodb_flush_log_at_trx_commit = 1 on the database server."
        )


def _connection_advice(connection: Connection) -> Iterator[str]:
    most = int(connection.scalar(text("SELECT @@max_connections")) or 0)
    present = select(func.count(), func.coalesce(func.sum(workers.c.slots), 0))
    count, slots = connection.execute(present.where(workers.c.state.in_(PRESENT_WORKER_STATES))).one()
    needed = int(slots) + _BESIDE_SLOTS * int(count)
    if needed > most:
        yield f"{count} workers may need {needed} connections: raise max_connections, which is {most}."


def _has(connection: Connection, variable: str) -> bool:
    return connection.execute(text("SHOW VARIABLES LIKE :name"), {"name": variable}).first() is not None
