"""What becomes known of frames while they are rendered: progress and log for followers, the log for good.

Followers are served through the cache, logs are kept in the store; each from a thread of its own, so that one that
is slow or frozen blocks neither the other nor a heartbeat.
"""

import logging
from collections.abc import Callable, Iterable
from pathlib import Path

from renderctl.core.errors import StoreUnavailable
from renderctl.farm import Farm
from renderctl.farm.periodic import PeriodicThread, stop_all
from renderctl.farm.worker.in_flight import InFlight, InFlightAttempt
from renderctl.farm.worker.log_bundle import log_limit
from renderctl.farm.worker.log_files import first_half, release_middle

logger = logging.getLogger(__name__)

#: Seconds between two looks at the logs of running frames, for those who follow them.
_PULSE_S = 0.5
#: Seconds between two looks whether logs have grown above their limit: how far they get until then is the disk's.
_TRIM_S = 0.25
#: The most of a log that is read at a time; bytes.
_LOG_CHUNK = 1 << 18


class Reporter:
    """Reports on what a worker holds until it is stopped."""

    def __init__(self, farm: Farm, in_flight: InFlight, session_logs: Callable[[], Iterable[Path]]) -> None:
        self._farm = farm
        self._limit = log_limit(farm)
        self._session_logs = session_logs
        self._in_flight = in_flight
        beat_s = farm.settings.worker.heartbeat
        self._threads = (
            PeriodicThread(farm.clock, "followers", min(_PULSE_S, beat_s / 2), self._feed_followers),
            PeriodicThread(farm.clock, "logs", beat_s, self._keep_logs),
            PeriodicThread(farm.clock, "log limits", _TRIM_S, self._trim_logs),
        )

    @property
    def error(self) -> BaseException | None:
        """What one of its threads has died of."""
        return next((thread.error for thread in self._threads if thread.error is not None), None)

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        stop_all(*self._threads)

    def _feed_followers(self) -> None:
        """Whoever follows learns of what is new, and only of that: most frames are silent most of the time."""
        for entry in self._in_flight.all():
            attempt, begin = entry.attempt, entry.streamed_bytes
            if entry.progress > entry.reported_progress:
                entry.reported_progress = entry.progress
                document = {"progress": entry.progress}
                self._farm.cache.put(f"attempt:{attempt.id}", document, version=int(entry.progress * 1e6), ttl_s=60.0)
            if fresh := self._fresh(entry):
                self._farm.cache.append(f"log:{attempt.id}", fresh, at=begin)

    def _keep_logs(self) -> None:
        """So that a node that dies does not take its logs along."""
        for entry in self._in_flight.all():
            log, streamed = entry.log, entry.streamed_bytes
            if log is None or streamed == entry.stored_bytes:
                continue
            try:
                self._farm.store.put_log(entry.attempt.id, first_half(log, self._limit))
                entry.stored_bytes = streamed
            except FileNotFoundError:
                continue  # its frame is finished, and its log kept
            except (OSError, StoreUnavailable) as error:
                logger.warning("the log of task %s was not kept: %s", entry.attempt.task_id, error)

    def _fresh(self, entry: InFlightAttempt) -> bytes:
        """What followers do not have yet; of a log above its limit the rest comes when its end is known."""
        most = min(_LOG_CHUNK, self._limit // 2 - entry.streamed_bytes)
        if entry.log is None or most <= 0:
            return b""
        try:
            with entry.log.open("rb") as log:
                log.seek(entry.streamed_bytes)
                fresh = log.read(most)
        except OSError:
            return b""
        entry.streamed_bytes += len(fresh)
        return fresh

    def _trim_logs(self) -> None:
        """So that nobody fills our disk by printing."""
        for log in (*(entry.log for entry in self._in_flight.all()), *self._session_logs()):
            try:
                if log is not None and log.stat().st_size > self._limit:
                    release_middle(log, self._limit)
            except FileNotFoundError:
                continue  # its frame is finished, or there is no session
            except OSError as error:
                logger.warning("the log %s can not be cut: %s", log, error)
