"""Changes of very many rows, in transactions that block others only for a moment."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from time import monotonic
from typing import TypeVar

from sqlalchemy import Connection

from renderctl.repository.database.transactions import Database

Result = TypeVar("Result")

#: Rows of the first transaction, which is the smallest, and of the largest one.
FIRST_ROWS, MOST_ROWS = 5_000, 50_000
#: Seconds that the transaction of a batch should take.
_BATCH_S = 0.08
#: SQLite has one writer at a time, and no queue: waiting writers look again every 25 ms, for the first 100 ms. So
#: long nothing is written after batches that took so many seconds together; then others have a turn within 250 ms.
_GAP_S, _GAP_AFTER_S = 0.025, 0.02


class BatchSize:
    """How many rows the next transaction changes, by how long the last ones took on this machine."""

    def __init__(self) -> None:
        self.rows = FIRST_ROWS
        self.held_s = 0.0  #: seconds in which nobody else could write on SQLite, since the last gap

    def note(self, took_s: float) -> None:
        """Note the seconds that a transaction of so many rows took: the next one has at most twice as many."""
        self.held_s += took_s
        fitting = min(self.rows * _BATCH_S / max(took_s, 1e-6), 2 * self.rows)
        self.rows = int(min(max(fitting, FIRST_ROWS), MOST_ROWS))


def write_batch(
    database: Database,
    size: BatchSize,
    work: Callable[[Connection], Result],
    *,
    recover: Callable[[Connection], Result | None] | None = None,
) -> Result:
    """Do `Database.write`; the `size` of the next batch follows from how long it has blocked other writers."""
    began = monotonic()

    def batch(connection: Connection) -> Result:
        nonlocal began
        began = monotonic()  # not before the transaction has its locks
        return work(connection)

    result = database.write(batch, recover=recover)
    size.note(monotonic() - began)
    return result


def let_others_write(database: Database, size: BatchSize) -> None:
    """Between two batches, let those write who wait for it."""
    if database.engine.dialect.name == "sqlite" and size.held_s >= _GAP_AFTER_S:
        database.pause(_GAP_S)
        size.held_s = 0.0


def batches(items: Iterable[str], size: int) -> Iterator[list[str]]:
    """Yield the items in lists of at most `size`."""
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
