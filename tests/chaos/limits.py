"""Slot limits and the order of frames, as the times of attempts show them at every instant."""

from collections import Counter
from typing import Any

from tests.chaos.history import JobHistory


def require_limits_held(history: JobHistory) -> Counter[str]:
    """Never were more slots at work on the job than it allows, and frames in order began in their order.

    An attempt counts from its start: the claim asks for the time before it waits for the locks by which it counts.
    """
    counts: Counter[str] = Counter()
    limit = 1 if history.row.in_order else history.row.max_slots
    if limit is not None:
        most = _most_slots(history.attempts)
        assert most <= limit, (history.row, most, sorted(history.attempts, key=lambda row: row.claimed_at))
        counts["jobs that kept their slot limit"] += most > 0
    if history.row.in_order and not history.retried:
        begun = _first_starts(history.attempts)
        assert begun == sorted(begun), history.row
        counts["jobs that kept their order"] += bool(begun)
    return counts


def _most_slots(attempts: Any) -> int:
    """How many slots were at work at the same time, at most."""
    changes = []
    for row in attempts:
        if row.started_at is not None and row.ended_at is not None and row.started_at < row.ended_at:
            slot = (row.worker_id, row.incarnation, row.slot)
            changes += [(row.started_at, 1, slot), (row.ended_at, -1, slot)]
    at_work: Counter[Any] = Counter()
    most = 0
    for _, change, slot in sorted(changes, key=lambda each: each[:2]):  # at one time, ends come first
        at_work[slot] += change
        most = max(most, sum(count > 0 for count in at_work.values()))
    return most


def _first_starts(attempts: Any) -> list[int]:
    """The numbers of the frames in the order in which each was begun first."""
    first: dict[int, Any] = {}
    for row in attempts:
        if row.started_at is not None:
            first[row.number] = min(first.get(row.number, row.started_at), row.started_at)
    return sorted(first, key=lambda number: (first[number], number))
