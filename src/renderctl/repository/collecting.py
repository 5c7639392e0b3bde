"""The garbage collection's half of the database: which blobs nothing points to, and how they are given up.

Two transactions for each batch. The first marks blobs that nobody leases; from then on, a row that comes to point to
one is refused. The second locks the marks, so that whoever asks for one of the blobs waits, looks once more what points
to them (waiting for rows that are being added), and removes the rest from the store before it commits. A collector that
dies leaves marks behind and no other harm: who asks for a marked blob overwrites the mark.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, func, literal, select
from sqlalchemy.dialects import mysql, sqlite

from renderctl.actors import Actor
from renderctl.jobs import SHARED_LOG
from renderctl.repository.blobs import Blobs
from renderctl.repository.keeping import DOOMED, MEMORY, POINTERS, pointed_at
from renderctl.repository.tables import (
    UtcTime,
    attempts,
    audits,
    blob_leases,
    job_inputs,
    model_inputs,
    models,
    outputs,
)
from renderctl.states import OPEN_ATTEMPT


@dataclass(frozen=True)
class Pointer:
    """A row that points to a blob."""

    digest: str
    what: str  #: such as `model shot@3, textures/wood.png`


class Collecting(Blobs):
    """What the garbage collection asks and does."""

    def time(self) -> datetime:
        """The time of the database: before blobs are leased or put, for who adds rows that point to them."""
        return self.read(self.now)

    def has_known_blobs(self) -> bool:
        """Whether a blob was ever spoken of here; else the store is not this database's own."""

        def reading(connection: Connection) -> bool:
            spoken = audits.c.action.in_(("model.upload", "store.collect"))
            some = [select(models.c.id), select(blob_leases.c.digest), select(audits.c.id).where(spoken)]
            return any(connection.execute(query.limit(1)).first() for query in some)

        return self.read(reading)

    def digests(self, *, after: str = "", limit: int = 2000) -> list[str]:
        """The digests that rows point to, in their order, each once; from the one that follows `after`."""

        def reading(connection: Connection) -> list[str]:
            found: set[str] = set()
            for table in POINTERS:
                query = select(table.c.digest).distinct().where(table.c.digest > after).order_by(table.c.digest)
                found.update(connection.scalars(query.limit(limit)))
            return sorted(found)[:limit]

        return self.read(reading)

    def pointers(self, digests: Sequence[str]) -> list[Pointer]:
        """The rows that point to the blobs."""
        of_models = select(model_inputs.c.digest, model_inputs.c.path, models.c.name, models.c.version)
        of_models = of_models.join(models, models.c.id == model_inputs.c.model_id)
        of_jobs = select(job_inputs.c.digest, job_inputs.c.path, job_inputs.c.job_id)
        of_tasks = select(outputs.c.digest, outputs.c.name, outputs.c.job_id, outputs.c.number)

        def reading(connection: Connection) -> list[Pointer]:
            found = [
                Pointer(digest, f"model {name}@{version}, {path}")
                for digest, path, name, version in connection.execute(
                    of_models.where(model_inputs.c.digest.in_(digests))
                )
            ]
            for digest, path, job_id in connection.execute(of_jobs.where(job_inputs.c.digest.in_(digests))):
                found.append(Pointer(digest, f"job {job_id}, {path}"))
            for digest, name, job_id, number in connection.execute(of_tasks.where(outputs.c.digest.in_(digests))):
                found.append(Pointer(digest, f"job {job_id}, {name} of task {number}"))
            return sorted(found, key=lambda each: (each.digest, each.what))

        return self.read(reading)

    def forgotten(self, digests: Sequence[str]) -> list[str]:
        """Those of the digests that nothing points to and nobody leases, in their order."""

        def reading(connection: Connection) -> list[str]:
            now = self.now(connection)
            leased = select(blob_leases.c.digest).where(blob_leases.c.digest.in_(digests), blob_leases.c.until > now)
            kept = pointed_at(connection, digests) | set(connection.scalars(leased))
            return [digest for digest in digests if digest not in kept]

        return self.read(reading)

    def collect(self, digests: Sequence[str], remove: Callable[[Sequence[str]], None]) -> list[str]:
        """Have `remove` remove those of the blobs that nothing points to and nobody leases; which those were.

        `remove` may be called again for the same blobs.
        """
        doomed = self.forgotten(sorted(digests))
        if not doomed:
            return []
        self.write(lambda connection: self._doom(connection, doomed))
        return self.write(lambda connection: self._collect(connection, doomed, remove))

    def _doom(self, connection: Connection, digests: Sequence[str]) -> None:
        """Mark the blobs that nobody leases, whether they have a row or not."""
        rows = [{"digest": digest, "until": DOOMED} for digest in digests]
        unleased = blob_leases.c.until <= self.now(connection)
        if connection.dialect.name == "sqlite":
            here = sqlite.insert(blob_leases).values(rows)
            marking = here.on_conflict_do_update(index_elements=["digest"], set_={"until": DOOMED}, where=unleased)
            connection.execute(marking)
            return
        until = func.if_(unleased, literal(DOOMED, UtcTime), blob_leases.c.until)
        connection.execute(mysql.insert(blob_leases).values(rows).on_duplicate_key_update(until=until))

    def _collect(
        self, connection: Connection, digests: Sequence[str], remove: Callable[[Sequence[str]], None]
    ) -> list[str]:
        marked = select(blob_leases.c.digest).where(blob_leases.c.digest.in_(digests), blob_leases.c.until == DOOMED)
        held = list(connection.scalars(marked.order_by(blob_leases.c.digest).with_for_update()))
        kept = pointed_at(connection, held, waiting=True)
        doomed = [digest for digest in held if digest not in kept]
        if doomed:
            remove(doomed)
        self._unmark(connection, blob_leases.c.digest.in_(doomed), collected=True)
        self._unmark(connection, blob_leases.c.digest.in_(kept), collected=False)
        return doomed

    def _unmark(self, connection: Connection, which: Any, *, collected: bool) -> None:
        """The lease has ended, and the blob was collected: as of now, after it was removed and not a moment before."""
        now = self._now() if connection.dialect.name == "sqlite" else func.utc_timestamp(6)
        changes = {"until": now, "collected_at": now} if collected else {"until": now}
        connection.execute(blob_leases.update().where(which).values(changes))

    def tidy_leases(self) -> None:
        """Take what collectors that died have marked for collected; forget what nobody needs to know any more."""

        def writing(connection: Connection) -> None:
            self._unmark(connection, blob_leases.c.until == DOOMED, collected=True)
            oldest = connection.scalar(
                select(func.min(attempts.c.claimed_at)).where(attempts.c.state.in_(OPEN_ATTEMPT))
            )
            long_ago = min(filter(None, (self.now(connection) - MEMORY, oldest)))
            untouched = (blob_leases.c.collected_at.is_(None)) | (blob_leases.c.collected_at < long_ago)
            connection.execute(blob_leases.delete().where(blob_leases.c.until < long_ago, untouched))

        self.write(writing)

    def unknown_logs(self, logs: Sequence[str]) -> list[str]:
        """Those of the logs whose attempts there are not, or not any more. Attempts that share one are of one job."""
        attempt_of = {log: log.removeprefix(SHARED_LOG) for log in logs}
        query = select(attempts.c.id).where(attempts.c.id.in_(list(attempt_of.values())))
        known = self.read(lambda connection: set(connection.scalars(query)))
        return [log for log in logs if attempt_of[log] not in known]

    def note_collection(self, *, actor: Actor, **found: Any) -> None:
        """Leave an audit row of what was collected."""
        self.deed(lambda connection: self.audit(connection, actor, "store.collect", "store", **found))
