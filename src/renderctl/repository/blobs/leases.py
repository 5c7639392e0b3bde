"""Leases of blobs, which the garbage collection respects, and which blobs the farm certainly has."""

import logging
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial

from sqlalchemy import Connection, Insert, func, select
from sqlalchemy.dialects import mysql, sqlite

from renderctl.repository.blobs.references import UNMARKED
from renderctl.repository.database import Database, db_now
from renderctl.repository.schema.jobs import blob_leases, job_inputs, model_inputs, outputs

logger = logging.getLogger(__name__)

#: How long a lease lasts.
_LEASE = timedelta(hours=24)
#: Seconds between two checks whether a blob is still being removed.
_LOOK_EVERY_S = 0.2
#: Rows or values of one statement.
_BATCH = 1000


def lease_blobs(database: Database, digests: Collection[str]) -> None:
    """Lease the blobs, and wait until none of them is being removed: what is put then stays."""
    waiting, is_logged = sorted(set(digests)), False
    while waiting:
        waiting, until_s = database.write(partial(_take_leases, digests=waiting))
        if waiting:
            if not is_logged:
                text = "%d files are being removed by the garbage collection: waiting for it, up to %.0f s"
                logger.warning(text, len(waiting), until_s)
            is_logged = True
            database.pause(min(_LOOK_EVERY_S, until_s))


def _take_leases(connection: Connection, digests: Sequence[str]) -> tuple[list[str], float]:
    """Take the leases; return the blobs that are being removed, and the seconds until that is over at the latest.

    All use the same order, so that no two wait for each other. What a collector that died has marked counts as removed.
    """
    now, leasing = db_now(connection), _lease_statement(connection.dialect.name)
    live: dict[str, datetime] = {}
    for some in _batches(digests):
        connection.execute(leasing, [{"digest": digest, "until": now + _LEASE} for digest in some])
        marked = select(blob_leases.c.digest, blob_leases.c.marked_until).where(
            blob_leases.c.digest.in_(some), blob_leases.c.marked_by.is_not(None)
        )
        marks = {row.digest: row.marked_until for row in connection.execute(marked)}
        live |= {digest: until for digest, until in marks.items() if until > now}
        if dead := sorted(marks.keys() - live.keys()):
            removed = blob_leases.update().where(blob_leases.c.digest.in_(dead))
            connection.execute(removed.values(**UNMARKED, collected_at=now))
    return sorted(live), max(((until - now).total_seconds() for until in live.values()), default=0.0)


def unreferenced(connection: Connection, digests: Collection[str]) -> set[str]:
    """Return the digests that no row points to."""
    needed: set[str] = set()
    for some in _batches(sorted(set(digests))):
        for table in (model_inputs, job_inputs, outputs):
            needed.update(connection.scalars(select(table.c.digest).where(table.c.digest.in_(some)).distinct()))
    return set(digests) - needed


def _lease_statement(dialect: str) -> Insert:
    """Return the statement that inserts a lease for each digest, or extends it."""
    if dialect == "sqlite":
        insert = sqlite.insert(blob_leases)
        return insert.on_conflict_do_update(index_elements=["digest"], set_={"until": insert.excluded.until})
    # VALUES(), and not the row alias of MySQL 8: MariaDB knows it too, and pymysql sends all rows at once.
    return mysql.insert(blob_leases).on_duplicate_key_update(until=func.values(blob_leases.c.until))


def _batches(digests: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(digests), _BATCH):
        yield digests[start : start + _BATCH]
