"""The log of one attempt, piece by piece: what the store has and, while it runs, what the cache has beyond that."""

from collections.abc import Iterator
from dataclasses import dataclass

from renderctl.core.jobs import Attempt
from renderctl.core.states import OPEN_ATTEMPT
from renderctl.farm import Farm

#: Bytes of a log that are in memory at a time.
PIECE = 1 << 20


@dataclass(frozen=True)
class LogPart:
    """A piece of the log of one attempt."""

    attempt: Attempt
    text: str


def kept_log(farm: Farm, attempt: Attempt, start: int = 0, end: int | None = None) -> Iterator[bytes]:
    """What the store has of it from byte `start` up to `end`; short frames have theirs together.

    Raises StoreUnavailable.
    """
    if attempt.log is None:
        yield from farm.store.read_log(attempt.id, start, end)
        return
    together, first, last = _place(attempt.log)
    yield from farm.store.read_log(together, min(first + start, last), last if end is None else min(first + end, last))


def kept_size(farm: Farm, attempt: Attempt) -> int:
    """Bytes that the store has of it. Raises StoreUnavailable."""
    if attempt.log is None:
        return farm.store.log_size(attempt.id) or 0
    _, first, last = _place(attempt.log)
    return last - first


def read_log(farm: Farm, attempt: Attempt, start: int = 0, end: int | None = None) -> Iterator[bytes]:
    """All that there is of it at this moment, from byte `start` up to `end`. Raises StoreUnavailable."""
    if attempt.state not in OPEN_ATTEMPT:
        yield from kept_log(farm, attempt, start, end)
        return
    live, live_end = farm.cache.tail(f"log:{attempt.id}", 0)
    begin = live_end - len(live)
    if live_end <= kept_size(farm, attempt):
        yield from kept_log(farm, attempt, start, end)
        return
    if start < begin:  # between the two may be what neither has
        yield from kept_log(farm, attempt, start, begin if end is None else min(begin, end))
    if fresh := live[max(0, start - begin) : None if end is None else max(0, end - begin)]:
        yield fresh


def log_size(farm: Farm, attempt: Attempt) -> int:
    """Bytes that there are of it at this moment. Raises StoreUnavailable."""
    stored_bytes = kept_size(farm, attempt)
    if attempt.state not in OPEN_ATTEMPT:
        return stored_bytes
    return max(stored_bytes, farm.cache.tail(f"log:{attempt.id}", 0)[1])


def _place(log: str) -> tuple[str, int, int]:
    """Where a log is that is kept together with others': see Attempt.log."""
    together, first, last = log.split(":")
    return together, int(first), int(last)
