"""Blobs whose bytes in the store differ from what was put: known until somebody has put them again."""

from collections.abc import Collection

from sqlalchemy import Connection, select

from renderctl.repository.database import Part, db_now, read, write
from renderctl.repository.database.batches import batches
from renderctl.repository.schema.jobs import damaged_blobs

_BATCH = 500


class DamagedBlobs(Part):
    """Damage that workers and `gc --scrub` have reported."""

    @write
    def report(self, connection: Connection, digest: str, found_by: str) -> None:
        """Note that a blob was read twice and did not match its digest. Raises DatabaseUnavailable."""
        known = connection.scalar(select(damaged_blobs.c.digest).where(damaged_blobs.c.digest == digest))
        if known is None:
            row = {"digest": digest, "found_at": db_now(connection), "found_by": found_by[:255]}
            connection.execute(damaged_blobs.insert(), row)

    @read
    def among(self, connection: Connection, digests: Collection[str]) -> set[str]:
        """Return those of the blobs that are damaged."""
        damaged: set[str] = set()
        for some in batches(sorted(set(digests)), _BATCH):
            damaged.update(connection.scalars(select(damaged_blobs.c.digest).where(damaged_blobs.c.digest.in_(some))))
        return damaged

    def mark_repaired(self, digests: Collection[str]) -> None:
        """Note that the blobs were put again, or are sound."""

        def writing(connection: Connection) -> None:
            for some in batches(sorted(set(digests)), _BATCH):
                connection.execute(damaged_blobs.delete().where(damaged_blobs.c.digest.in_(some)))

        if self.among(digests):
            self._database.write(writing)
