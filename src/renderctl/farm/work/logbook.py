"""The logs of short frames, kept together: to store each by itself would take longer than to render it."""

from collections.abc import Mapping
from pathlib import Path

from renderctl.farm import Farm
from renderctl.jobs import SHARED_LOG


def keep_together(farm: Farm, logs: Mapping[str, Path]) -> dict[str, str]:
    """Put the logs of attempts in the store as one, named after the first; where each is: see Attempt.log.

    Raises StoreUnavailable, OSError.
    """
    places: dict[str, str] = {}
    if not logs:
        return places
    under, text = SHARED_LOG + next(iter(logs)), b""
    for attempt_id, log in logs.items():
        start = len(text)
        text += log.read_bytes()
        places[attempt_id] = f"{under}:{start}:{len(text)}"
    farm.store.put_log(under, text)
    return places
