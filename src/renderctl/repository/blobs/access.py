"""Access to blobs: whoever may read a blob need not send it, and may make models and jobs of it."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import timedelta

from sqlalchemy import Connection, Select, select

from renderctl.core.blobs import BlobReader
from renderctl.core.quotas import Quotas, UploadState
from renderctl.repository.blobs.leases import lease_blobs, unreferenced
from renderctl.repository.database import Part, db_now, read, write
from renderctl.repository.database.batches import batches
from renderctl.repository.quotas import lock_quotas, require_incoming
from renderctl.repository.schema.jobs import job_inputs, jobs, model_inputs, models, outputs, uploads
from renderctl.repository.schema.mappers import visible

_BATCH = 1000
_RECEIVED = (UploadState.RECEIVED, UploadState.USED)
#: How long it is known what a user has sent: as long as a lease lasts.
_REMEMBERED = timedelta(hours=24)


class Blobs(Part):
    """Blobs that somebody needs or sends."""

    def unknown(self, digests: Collection[str]) -> set[str]:
        """Return the digests that no model, job or output points to, so that the store may lack them. Leases all of
        them.

        A lease lasts 24 hours by the database's clock. Until then the garbage collection removes none of them: neither
        what is there nor what the caller is going to put. Waits for those that are being collected now. Raises
        DatabaseUnavailable.
        """
        self.lease(digests)
        return self._database.read(lambda connection: unreferenced(connection, digests)) if digests else set()

    def lease(self, digests: Collection[str]) -> None:
        """Lease the blobs, and wait until none of them is being removed: what is put then stays."""
        lease_blobs(self._database, digests)

    def readable(self, digests: Collection[str], reader: BlobReader) -> dict[str, int]:
        """Return the sizes in bytes of the blobs that the reader may read, and lease those.

        They may read what they sent, and what a model or job that they may see points to. Made-up digests leave nothing
        behind.
        """
        readable_blobs = self._readable(digests, reader)
        self.lease(readable_blobs)
        return self._readable(readable_blobs, reader)

    def _readable(self, digests: Collection[str], reader: BlobReader) -> dict[str, int]:
        def reading(connection: Connection) -> dict[str, int]:
            now, sizes = db_now(connection), dict[str, int]()
            for some in batches(sorted(set(digests)), _BATCH):
                own = select(uploads.c.digest, uploads.c.size).where(uploads.c.owner == reader.name)
                received = own.where(uploads.c.digest.in_(some), uploads.c.until > now, uploads.c.state.in_(_RECEIVED))
                for query in (received, *_pointer_queries(some, reader)):
                    sizes.update({row.digest: row.size for row in connection.execute(query)})
            return sizes

        return self._database.read(reading) if digests else {}

    @read
    def is_announced(self, connection: Connection, digest: str, size: int, owner: str) -> bool:
        """Whether the owner has announced the file not long ago, so that it counts."""
        now = db_now(connection)
        this = select(uploads.c.state, uploads.c.until).where(uploads.c.owner == owner, uploads.c.digest == digest)
        row = connection.execute(this.where(uploads.c.size == size, uploads.c.until > now)).first()
        if row is None or row.state == UploadState.USED:
            return False
        return row.state == UploadState.RECEIVED or bool(row.until > now + _REMEMBERED)

    def announce(self, sizes: Mapping[str, int], owner: str, quotas: Quotas) -> None:
        """Note that the owner is going to send files of these sizes in bytes: they count from now on, and are leased.

        What they have announced or sent of a file before counts on: announcing it again makes it no smaller. Raises
        QuotaExceeded.
        """
        limits = quotas.of(owner, None)

        def writing(connection: Connection) -> None:
            lock_quotas(connection, limits)
            now = db_now(connection)
            for some in batches(sorted(sizes), _BATCH):
                these = (uploads.c.owner == owner) & uploads.c.digest.in_(some)
                counted = select(uploads.c.digest, uploads.c.size).where(these, uploads.c.until > now)
                before = {row.digest: row.size for row in connection.execute(counted)}
                connection.execute(uploads.delete().where(these))
                common = {"owner": owner, "until": now + 2 * _REMEMBERED, "state": UploadState.ANNOUNCED}
                rows = [
                    {**common, "digest": digest, "size": max(sizes[digest], before.get(digest, 0))} for digest in some
                ]
                connection.execute(uploads.insert(), rows)
            require_incoming(connection, limits, now)

        if sizes and limits:
            self._database.write(writing)
        self.lease(sizes)

    @write
    def mark_received(self, connection: Connection, digest: str, size: int, owner: str) -> None:
        """Note that the owner has sent all of a blob that they had leased, and so knows its contents."""
        now = db_now(connection)
        connection.execute(uploads.delete().where(uploads.c.owner == owner, uploads.c.digest == digest))
        row = {"owner": owner, "digest": digest, "size": size, "until": now + _REMEMBERED}
        row["state"] = UploadState.RECEIVED
        connection.execute(uploads.insert(), row)
        connection.execute(uploads.delete().where(uploads.c.until <= now))


def _pointer_queries(digests: Sequence[str], reader: BlobReader) -> Iterator[Select[tuple[str, int]]]:
    """Yield queries of visible rows that point to the blobs."""
    of_models = select(model_inputs.c.digest, model_inputs.c.size).join(models, models.c.id == model_inputs.c.model_id)
    yield of_models.where(model_inputs.c.digest.in_(digests), *visible(models, reader.models))
    for table in (job_inputs, outputs):
        of_jobs = select(table.c.digest, table.c.size).join(jobs, jobs.c.id == table.c.job_id)
        yield of_jobs.where(table.c.digest.in_(digests), jobs.c.removed_at.is_(None), *visible(jobs, reader.jobs))
