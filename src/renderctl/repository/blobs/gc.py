"""The database's part of the garbage collection: which blobs nothing points to, and how they are given up.

Each batch is marked first: the mark has an owner and a deadline, by which its removals have acted or never will. While
it is live, whoever wants to lease one of the blobs waits, and rows that come to point to one are refused. Then the
collector looks again what points to them (waiting for rows that are being added), removes the rest from the store with
no lock and no transaction, and takes the mark away. A collector that dies leaves only marks: after the deadline their
blobs count as removed, and are put again.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from time import monotonic
from typing import Any

from sqlalchemy import Connection, func, literal, select
from sqlalchemy.dialects import mysql, sqlite

from renderctl.core.actors import Actor
from renderctl.core.blobs import BlobPointer
from renderctl.core.ids import new_token
from renderctl.core.jobs import SHARED_LOG
from renderctl.core.states import OPEN_ATTEMPT
from renderctl.repository.blobs.references import MEMORY, POINTERS, UNMARKED, pointed_at
from renderctl.repository.database import Part, add_audit_entry, db_now, durable_write, read, unit_of, write
from renderctl.repository.schema.audit import audits
from renderctl.repository.schema.jobs import (
    UtcTime,
    attempts,
    blob_leases,
    job_inputs,
    model_inputs,
    models,
    outputs,
)


class GarbageCollection(Part):
    """The queries and steps of a garbage collection."""

    @read
    def has_known_blobs(self, connection: Connection) -> bool:
        """Whether this database has known any blob; else the store belongs to another one."""
        spoken = audits.c.action.in_(("model.upload", "store.collect"))
        some = [select(models.c.id), select(blob_leases.c.digest), select(audits.c.id).where(spoken)]
        return any(connection.execute(query.limit(1)).first() for query in some)

    @read
    def digests(self, connection: Connection, *, after: str = "", limit: int = 2000) -> list[str]:
        """Return digests that rows point to, sorted, from the one that follows `after`."""
        pointed_to: set[str] = set()
        for table in POINTERS:
            query = select(table.c.digest).distinct().where(table.c.digest > after).order_by(table.c.digest)
            pointed_to.update(connection.scalars(query.limit(limit)))
        return sorted(pointed_to)[:limit]

    @read
    def pointers(self, connection: Connection, digests: Sequence[str]) -> list[BlobPointer]:
        """Return the rows that point to the blobs."""
        of_models = select(model_inputs.c.digest, model_inputs.c.path, models.c.name, models.c.version)
        of_models = of_models.join(models, models.c.id == model_inputs.c.model_id)
        of_jobs = select(job_inputs.c.digest, job_inputs.c.path, job_inputs.c.job_id)
        of_tasks = select(outputs.c.digest, outputs.c.name, outputs.c.job_id, outputs.c.number)
        rows = [
            BlobPointer(digest, f"model {name}@{version}, {path}")
            for digest, path, name, version in connection.execute(of_models.where(model_inputs.c.digest.in_(digests)))
        ]
        for digest, path, job_id in connection.execute(of_jobs.where(job_inputs.c.digest.in_(digests))):
            rows.append(BlobPointer(digest, f"job {job_id}, {path}"))
        for digest, name, job_id, number in connection.execute(of_tasks.where(outputs.c.digest.in_(digests))):
            rows.append(BlobPointer(digest, f"job {job_id}, {name} of task {number}"))
        return sorted(rows, key=lambda pointer: (pointer.digest, pointer.what))

    @read
    def unreferenced(self, connection: Connection, digests: Sequence[str]) -> list[str]:
        """Return the digests that nothing points to and nobody leases, in their order."""
        now = db_now(connection)
        leased = select(blob_leases.c.digest).where(blob_leases.c.digest.in_(digests), blob_leases.c.until > now)
        referenced = pointed_at(connection, digests) | set(connection.scalars(leased))
        return [digest for digest in digests if digest not in referenced]

    def collect(
        self,
        digests: Sequence[str],
        remove: Callable[[Iterable[str]], None],
        *,
        limit_s: float,
        clock: Callable[[], float] = monotonic,
    ) -> list[str]:
        """Have `remove` remove the blobs that nothing points to and nobody leases; return which those were.

        `limit_s`: seconds within which a removal has acted, or never will. Removals begin only within so many seconds:
        a process that was frozen for longer begins no other.
        """
        forgotten = self.unreferenced(sorted(digests))
        if not forgotten:
            return []
        owner, ends = new_token(), clock() + limit_s
        self._database.write(lambda connection: _mark(connection, forgotten, owner, 2 * limit_s))
        doomed = self._database.write(lambda connection: _confirm(connection, owner))
        begun: list[str] = []
        remove(_until_deadline(doomed, begun, lambda: clock() < ends))
        self._database.write(lambda connection: _unmark(connection, owner, begun))
        return begun

    @write
    def tidy_leases(self, connection: Connection) -> None:
        """Mark what collectors that died have marked as collected, and delete leases that nobody needs any more."""
        now = db_now(connection)
        dead = blob_leases.update().where(blob_leases.c.marked_until <= now)
        connection.execute(dead.values(**UNMARKED, collected_at=now))
        oldest = connection.scalar(select(func.min(attempts.c.claimed_at)).where(attempts.c.state.in_(OPEN_ATTEMPT)))
        long_ago = min(filter(None, (now - MEMORY, oldest)))
        untouched = (blob_leases.c.collected_at.is_(None)) | (blob_leases.c.collected_at < long_ago)
        untouched &= blob_leases.c.marked_by.is_(None)
        connection.execute(blob_leases.delete().where(blob_leases.c.until < long_ago, untouched))

    def unknown_logs(self, logs: Sequence[str]) -> list[str]:
        """Return the logs whose attempts are gone. Attempts that share a log are of one job."""
        attempt_of = {log: log.removeprefix(SHARED_LOG) for log in logs}
        query = select(attempts.c.id).where(attempts.c.id.in_(list(attempt_of.values())))
        known = self._database.read(lambda connection: set(connection.scalars(query)))
        return [log for log in logs if attempt_of[log] not in known]

    @durable_write
    def record_collection(self, connection: Connection, /, *, actor: Actor, **details: Any) -> None:
        """Add an audit entry of what was collected."""
        add_audit_entry(connection, actor, "store.collect", "store", **details)


def _mark(connection: Connection, digests: Sequence[str], owner: str, lasts_s: float) -> None:
    """Mark the blobs that nobody leases or has marked, whether they have a row or not."""
    now = db_now(connection)
    mark = {"marked_by": owner, "marked_until": now + timedelta(seconds=lasts_s)}
    free = (blob_leases.c.until <= now) & (blob_leases.c.marked_until.is_(None) | (blob_leases.c.marked_until <= now))
    rows = [{"digest": digest, "until": now, **mark} for digest in digests]
    if connection.dialect.name == "sqlite":
        here = sqlite.insert(blob_leases).values(rows)
        connection.execute(here.on_conflict_do_update(index_elements=["digest"], set_=mark, where=free))
        return
    # MySQL sets the columns one after the other, and the condition must hold for both: the deadline comes last.
    column = blob_leases.c
    changes = {
        "marked_by": func.if_(free, literal(owner), column.marked_by),
        "marked_until": func.if_(
            column.marked_by == owner, literal(mark["marked_until"], UtcTime), column.marked_until
        ),
    }
    connection.execute(mysql.insert(blob_leases).values(rows).on_duplicate_key_update(list(changes.items())))


def _confirm(connection: Connection, owner: str) -> list[str]:
    """Return the marked blobs that nothing points to, rows that are being added included; unmark the others."""
    marked = select(blob_leases.c.digest).where(blob_leases.c.marked_by == owner).order_by(blob_leases.c.digest)
    held = list(connection.scalars(marked))
    referenced = pointed_at(connection, held, waiting=True)
    spared = blob_leases.c.digest.in_(referenced) & (blob_leases.c.marked_by == owner)
    connection.execute(blob_leases.update().where(spared).values(UNMARKED))
    return [digest for digest in held if digest not in referenced]


def _until_deadline(digests: Iterable[str], begun: list[str], in_time: Callable[[], bool]) -> Iterator[str]:
    """Yield the digests while there is time to begin a removal, and add them to `begun`."""
    for digest in digests:
        if not in_time():
            return
        begun.append(digest)
        yield digest


def _unmark(connection: Connection, owner: str, removed: Sequence[str]) -> None:
    """Note that the blobs are collected as of now, after they were removed and not a moment before."""
    now = unit_of(connection).node_clock() if connection.dialect.name == "sqlite" else func.utc_timestamp(6)
    own = blob_leases.c.marked_by == owner
    gone = blob_leases.update().where(own, blob_leases.c.digest.in_(removed))
    connection.execute(gone.values(**UNMARKED, collected_at=now))
    connection.execute(blob_leases.update().where(own).values(UNMARKED))
