"""Blobs of which the store has other bytes than were put: known until somebody has put them anew."""

from collections.abc import Collection

from sqlalchemy import Connection, select

from renderctl.repository.blobs.references import batches
from renderctl.repository.database import Database
from renderctl.repository.schema.jobs import damaged_blobs

_BATCH = 500


class DamageReports(Database):
    """What workers and `gc --scrub` have found damaged."""

    def report_damage(self, digest: str, found_by: str) -> None:
        """The blob was read, twice, and was not what its digest says. Raises DatabaseUnavailable."""

        def writing(connection: Connection) -> None:
            known = connection.scalar(select(damaged_blobs.c.digest).where(damaged_blobs.c.digest == digest))
            if known is None:
                row = {"digest": digest, "found_at": self.now(connection), "found_by": found_by[:255]}
                connection.execute(damaged_blobs.insert(), row)

        self.write(writing)

    def damaged(self, digests: Collection[str]) -> set[str]:
        """Those of the blobs that are known to be damaged."""

        def reading(connection: Connection) -> set[str]:
            found: set[str] = set()
            for some in batches(sorted(set(digests)), _BATCH):
                found.update(connection.scalars(select(damaged_blobs.c.digest).where(damaged_blobs.c.digest.in_(some))))
            return found

        return self.read(reading)

    def note_repaired(self, digests: Collection[str]) -> None:
        """The blobs were put anew, or are sound after all."""

        def writing(connection: Connection) -> None:
            for some in batches(sorted(set(digests)), _BATCH):
                connection.execute(damaged_blobs.delete().where(damaged_blobs.c.digest.in_(some)))

        if self.damaged(digests):
            self.write(writing)
