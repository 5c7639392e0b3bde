"""Which blobs rows point to, and why no row comes to point to one that was collected.

Whoever makes a row point to a blob leases it first and then puts it; or puts it, and has the row refused if the blob
was collected meanwhile (`require_not_collected`).
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, or_, select

from renderctl.core.errors import BlobCollected
from renderctl.repository.database.batches import batches
from renderctl.repository.schema.jobs import blob_leases, job_inputs, model_inputs, outputs

#: How long it is known that a blob was collected: no row may come to point to it with an older lease.
MEMORY = timedelta(days=7)
#: The columns of a lease without a mark of the garbage collection.
UNMARKED = {"marked_by": None, "marked_until": None}
#: All tables that point to blobs.
POINTERS = (model_inputs, job_inputs, outputs)
_BATCH = 500


def pointed_at(connection: Connection, digests: Sequence[str], *, waiting: bool = False) -> set[str]:
    """Return the digests that a row points to; with `waiting`: also of rows that are being added at this moment."""
    pointed_to: set[str] = set()
    for table in POINTERS:
        query = select(table.c.digest).where(table.c.digest.in_(digests))
        pointed_to.update(connection.scalars(query.with_for_update(read=True) if waiting else query))
    return pointed_to


def require_not_collected(
    connection: Connection, digests: Iterable[str], since: datetime | ColumnElement[datetime]
) -> None:
    """Refuse rows, just added in this transaction, that point to blobs which were collected `since` then.

    After the insert and not before: so either this sees the collector's mark, or the collector sees the rows. Raises
    BlobCollected.
    """
    gone = or_(blob_leases.c.marked_by.is_not(None), blob_leases.c.collected_at >= since)
    for batch in batches(digests, _BATCH):
        query = select(blob_leases.c.digest).where(blob_leases.c.digest.in_(batch), gone).limit(1)
        if connection.execute(query).first():
            raise BlobCollected
