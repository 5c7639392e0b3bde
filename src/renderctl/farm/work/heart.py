"""The heart of a worker: one thread that says what it holds, hears what to stop, feeds followers, and sweeps."""

import logging
import threading
from dataclasses import dataclass

from renderctl.errors import DatabaseUnavailable, RenderctlError, StoreUnavailable
from renderctl.farm import Farm
from renderctl.farm.sweep import sweep
from renderctl.farm.work.held import Held, Hold
from renderctl.workers import Beat, Orders

logger = logging.getLogger(__name__)

#: Seconds between two looks at the logs of running frames, for those who follow them.
_PULSE_S = 0.5
#: The most of a log that is read at a time, and that is kept whole in the store while a frame runs; bytes.
_LOG_CHUNK, _LOG_LIMIT = 1 << 18, 8 << 20


@dataclass(frozen=True)
class Identity:
    """Which worker this is, and which start of it."""

    worker_id: str
    incarnation: str


class Heart:
    """Beats until it is stopped."""

    def __init__(self, farm: Farm, identity: Identity, held: Held) -> None:
        self._farm = farm
        self._identity = identity
        self._held = held
        self._stop = threading.Event()
        self._was_deaf = False  # the database has failed since the last sweep
        self._thread = threading.Thread(target=self._run, name="heart", daemon=True)
        self.drain = threading.Event()  #: somebody asked the worker to take no more
        self.superseded = threading.Event()  #: a newer incarnation has its name
        self.error: BaseException | None = None  #: what it has died of

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            self._beat_until_stopped()
        except BaseException as error:  # raised again by the worker: without a heart it must not go on
            logger.exception("the heart of worker %s has stopped", self._identity.worker_id)
            self.error = error

    def _beat_until_stopped(self) -> None:
        beat_every = self._farm.settings.worker.heartbeat
        due = self._farm.clock.monotonic()
        while not self._farm.clock.wait(self._stop, min(_PULSE_S, beat_every / 2)):
            self._feed_followers()
            if self._farm.clock.monotonic() >= due:
                due = self._farm.clock.monotonic() + beat_every
                self._beat()

    def _beat(self) -> None:
        try:
            beat = Beat(self._identity.worker_id, self._identity.incarnation, self._held.progress())
            self._follow(self._farm.repository.beat(beat))
            sweep(self._farm, self._identity.worker_id, afresh=self._was_deaf)
            self._was_deaf = False
        except DatabaseUnavailable as error:
            self._was_deaf = True
            logger.warning("the heartbeat was not heard: %s", error)
        except RenderctlError as error:  # such as a job that is discarded while it is swept
            logger.warning("the sweep was not finished: %s", error)
        self._keep_logs()

    def _follow(self, orders: Orders) -> None:
        self._held.stop(orders.stop)
        if orders.drain:
            self.drain.set()
        if orders.superseded:
            logger.error("another worker was started under the name %s: this one ends", self._identity.worker_id)
            self.superseded.set()

    def _feed_followers(self) -> None:
        """Whoever follows learns of what is new, and only of that: most frames are silent most of the time."""
        for hold in self._held.all():
            attempt, begin = hold.attempt, hold.logged
            if hold.progress > hold.told:
                hold.told = hold.progress
                document = {"progress": hold.progress}
                self._farm.cache.put(f"attempt:{attempt.id}", document, version=int(hold.progress * 1e6), ttl_s=60.0)
            if fresh := _fresh(hold):
                self._farm.cache.append(f"log:{attempt.id}", fresh, at=begin)

    def _keep_logs(self) -> None:
        """So that a node that dies does not take its logs along."""
        for hold in self._held.all():
            if hold.log is None or not hold.logged:
                continue
            try:
                with hold.log.open("rb") as log:
                    self._farm.store.put_log(hold.attempt.id, log.read(_LOG_LIMIT))
            except FileNotFoundError:
                continue  # its frame is finished, and its log kept
            except (OSError, StoreUnavailable) as error:
                logger.warning("the log of task %s was not kept: %s", hold.attempt.task_id, error)


def _fresh(hold: Hold) -> bytes:
    if hold.log is None:
        return b""
    try:
        with hold.log.open("rb") as log:
            log.seek(hold.logged)
            fresh = log.read(_LOG_CHUNK)
    except OSError:
        return b""
    hold.logged += len(fresh)
    return fresh
