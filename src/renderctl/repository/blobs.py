"""Blobs: which of them the farm has for certain, and leases that keep the garbage collection off them."""

from collections.abc import Collection, Iterator, Sequence
from datetime import timedelta

from sqlalchemy import Connection, Insert, func, select
from sqlalchemy.dialects import mysql, sqlite

from renderctl.repository.database import Database
from renderctl.repository.tables import blob_leases, job_inputs, model_inputs, outputs

#: How long the blobs that somebody asked for are left alone.
_LEASE = timedelta(hours=24)
#: Rows or values of one statement.
_BATCH = 1000


class Blobs(Database):
    """What the database knows about the store."""

    def unknown_blobs(self, digests: Collection[str]) -> set[str]:
        """Those that no model, job or output needs, so that they may not be in the store. All `digests` are leased.

        A lease lasts 24 hours by the database's clock. For so long the garbage collection removes none of them:
        neither what is there already nor what the caller is going to put.
        """
        return self.write(lambda connection: self._leased(connection, digests)) if digests else set()

    def _leased(self, connection: Connection, digests: Collection[str]) -> set[str]:
        """Takes the leases first: who collects one of these blobs just now is waited for, and what it did is seen.

        In an order that all have in common, so that no two wait for each other.
        """
        until = self.now(connection) + _LEASE
        leasing = _leasing(connection.dialect.name)
        for some in _batches(sorted(set(digests))):
            connection.execute(leasing, [{"digest": digest, "until": until} for digest in some])
        needed: set[str] = set()
        for some in _batches(sorted(set(digests))):
            for table in (model_inputs, job_inputs, outputs):
                needed.update(connection.scalars(select(table.c.digest).where(table.c.digest.in_(some)).distinct()))
        return set(digests) - needed


def _leasing(dialect: str) -> Insert:
    """One row for each digest; one that is there lasts longer."""
    if dialect == "sqlite":
        insert = sqlite.insert(blob_leases)
        return insert.on_conflict_do_update(index_elements=["digest"], set_={"until": insert.excluded.until})
    # VALUES(), and not the row alias of MySQL 8: MariaDB knows it too, and pymysql sends all rows at once.
    return mysql.insert(blob_leases).on_duplicate_key_update(until=func.values(blob_leases.c.until))


def _batches(digests: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(digests), _BATCH):
        yield digests[start : start + _BATCH]
