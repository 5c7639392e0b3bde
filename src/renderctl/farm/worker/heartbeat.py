"""The heart of a worker: it says what the worker holds and how its node is, and hears what the farm wants of it."""

import logging
import threading
from dataclasses import dataclass

from renderctl.core.errors import DatabaseUnavailable, RenderctlError
from renderctl.core.states import WorkerState
from renderctl.core.workers import Heartbeat, HeartbeatReply
from renderctl.farm import Farm
from renderctl.farm.admin.sweep import sweep
from renderctl.farm.periodic import PeriodicThread, stop_all
from renderctl.farm.worker.health import Health
from renderctl.farm.worker.in_flight import InFlight
from renderctl.farm.worker.stop_flags import StopFlags

logger = logging.getLogger(__name__)

#: Seconds from a worker's registration to its first heartbeat, at most.
_FIRST_S = 0.5
#: An idle worker asks with so many heartbeats how many of them there are: with the first, and so on.
COUNT_EVERY = 6


@dataclass(frozen=True)
class Identity:
    """Which worker this is, and which start of it."""

    worker_id: str
    incarnation: str


class HeartbeatThread:
    """Beats until it is stopped. After each beat a thread beside it sweeps, so that no sweep delays a beat."""

    def __init__(self, farm: Farm, identity: Identity, in_flight: InFlight, flags: StopFlags, health: Health) -> None:
        self._farm = farm
        self._identity = identity
        self._in_flight = in_flight
        self._flags = flags
        self._health = health
        self._drain: bool | None = None  # what somebody on this node asked for, until the database knows
        self._state = WorkerState.ACTIVE
        self._beat_done = threading.Event()  # since the last sweep
        self._db_failed_since_sweep = False  # the database has failed since the last sweep
        self._last_beat_failed = False  # it has failed since the last beat that was heard
        every_s = farm.settings.worker.heartbeat
        # who has just registered is known to live: what a short render does has the processor first
        self._beat_thread = PeriodicThread(farm.clock, "heartbeat", every_s, self._beat, first_s=min(_FIRST_S, every_s))
        self._sweep_thread = PeriodicThread(farm.clock, "sweeper", every_s / 5, self._sweep)
        self._idle_beats = 0
        self.idle_workers = 0  #: of the whole farm, when it was last asked
        self.superseded = threading.Event()  #: a newer incarnation has its name

    @property
    def error(self) -> BaseException | None:
        """What it has died of: without a heart a worker must not go on."""
        return self._beat_thread.error or self._sweep_thread.error

    def start(self) -> None:
        self._beat_thread.start()
        self._sweep_thread.start()

    def stop(self) -> None:
        stop_all(self._sweep_thread, self._beat_thread)

    def request_drain(self, *, drain: bool) -> None:
        """Somebody on this node wants the worker to take no more, or to go on: the farm hears it with the next beat."""
        self._drain = drain
        if drain:
            self._flags.hold.set()

    def _beat(self) -> None:
        drain = self._drain
        capabilities = self._health.unreported_capabilities()
        idle = self._in_flight.any_idle
        beat = Heartbeat(
            self._identity.worker_id,
            self._identity.incarnation,
            self._in_flight.progress(),
            problem=self._health.problem,
            drain=drain,
            capabilities=capabilities,
            idle=idle,
            count_idle=idle and self._idle_beats % COUNT_EVERY == 0,
        )
        try:
            reply = self._farm.repository.workers.heartbeat(beat)
        except DatabaseUnavailable as error:
            if not self._last_beat_failed:
                logger.warning("the heartbeat was not heard: %s", error)
            self._db_failed_since_sweep = self._last_beat_failed = True
            return
        if self._last_beat_failed:
            logger.info("the heartbeat is heard again")
            self._last_beat_failed = False
        if self._drain is drain:
            self._drain = None
        self._health.acknowledge(capabilities)
        self._idle_beats += int(idle)
        if reply.idle_workers is not None:
            self.idle_workers = reply.idle_workers
        self._obey(reply)
        self._beat_done.set()

    def _obey(self, reply: HeartbeatReply) -> None:
        self._in_flight.stop(reply.stop)
        if reply.superseded:
            if not self.superseded.is_set():
                logger.error("another worker was started under the name %s: this one ends", self._identity.worker_id)
            self.superseded.set()
            return
        if reply.state is not self._state:
            self._state = reply.state
            logger.info("worker %s is %s", self._identity.worker_id, reply.state)
        if reply.state is not WorkerState.ACTIVE:
            self._flags.hold.set()
        elif self._health.problem is None and not self._drain:
            self._flags.hold.clear()

    def _sweep(self) -> None:
        if not self._beat_done.is_set():
            return
        self._beat_done.clear()
        afresh, self._db_failed_since_sweep = self._db_failed_since_sweep, False
        try:
            sweep(self._farm, self._identity.worker_id, afresh=afresh)
        except DatabaseUnavailable as error:
            self._db_failed_since_sweep = True
            logger.warning("the sweep was not finished: %s", error)
        except RenderctlError as error:  # such as a job that is discarded while it is swept
            self._db_failed_since_sweep = self._db_failed_since_sweep or afresh
            logger.warning("the sweep was not finished: %s", error)
