"""Logs on their way to the store; those of short frames together: one by one would take longer than to render."""

from collections.abc import Mapping
from itertools import chain
from pathlib import Path

from renderctl.core.jobs import SHARED_LOG
from renderctl.farm import Farm
from renderctl.farm.worker.log_files import LogExcerpt


def store_together(farm: Farm, logs: Mapping[str, Path]) -> dict[str, str]:
    """Put the logs of attempts in the store as one, named after the first; where each is: see Attempt.log.

    Raises StoreUnavailable, OSError.
    """
    places: dict[str, str] = {}
    if not logs:
        return places
    under, end = SHARED_LOG + next(iter(logs)), 0
    excerpts = [LogExcerpt(log, log_limit(farm)) for log in logs.values()]
    for attempt_id, excerpt in zip(logs, excerpts, strict=True):
        places[attempt_id] = f"{under}:{end}:{end + excerpt.size}"
        end += excerpt.size
    farm.store.put_log(under, chain.from_iterable(excerpt.pieces() for excerpt in excerpts))
    return places


def store_log(farm: Farm, attempt_id: str, log: Path) -> None:
    """Put the log of an attempt in the store. Raises StoreUnavailable, OSError."""
    farm.store.put_log(attempt_id, LogExcerpt(log, log_limit(farm)).pieces())


def log_limit(farm: Farm) -> int:
    """Bytes that are kept of the log of an attempt."""
    return farm.settings.worker.log_mb << 20
