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
from renderctl.farm.worker.stop_flags import Signals

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

    def __init__(self, farm: Farm, identity: Identity, held: InFlight, signals: Signals, health: Health) -> None:
        self._farm = farm
        self._identity = identity
        self._held = held
        self._signals = signals
        self._health = health
        self._drain: bool | None = None  # what somebody on this node asked for, until the database knows
        self._state = WorkerState.ACTIVE
        self._beaten = threading.Event()  # since the last sweep
        self._was_deaf = False  # the database has failed since the last sweep
        self._unheard = False  # it has failed since the last beat that was heard
        every_s = farm.settings.worker.heartbeat
        # who has just registered is known to live: what a short render does has the processor first
        self._beating = PeriodicThread(farm.clock, "heart", every_s, self._beat, first_s=min(_FIRST_S, every_s))
        self._sweeping = PeriodicThread(farm.clock, "sweeper", every_s / 5, self._sweep)
        self._idle_beats = 0
        self.idle_workers = 0  #: of the whole farm, when it was last asked
        self.superseded = threading.Event()  #: a newer incarnation has its name

    @property
    def error(self) -> BaseException | None:
        """What it has died of: without a heart a worker must not go on."""
        return self._beating.error or self._sweeping.error

    def start(self) -> None:
        self._beating.start()
        self._sweeping.start()

    def stop(self) -> None:
        stop_all(self._sweeping, self._beating)

    def ask(self, *, drain: bool) -> None:
        """Somebody on this node wants the worker to take no more, or to go on: the farm hears it with the next beat."""
        self._drain = drain
        if drain:
            self._signals.rest.set()

    def _beat(self) -> None:
        wish = self._drain
        news = self._health.capabilities_news()
        idle = self._held.any_idle
        beat = Heartbeat(
            self._identity.worker_id,
            self._identity.incarnation,
            self._held.progress(),
            complaint=self._health.complaint,
            drain=wish,
            capabilities=news,
            idle=idle,
            count_idle=idle and self._idle_beats % COUNT_EVERY == 0,
        )
        try:
            orders = self._farm.repository.beat(beat)
        except DatabaseUnavailable as error:
            if not self._unheard:
                logger.warning("the heartbeat was not heard: %s", error)
            self._was_deaf = self._unheard = True
            return
        if self._unheard:
            logger.info("the heartbeat is heard again")
            self._unheard = False
        if self._drain is wish:
            self._drain = None
        self._health.heard(news)
        self._idle_beats += int(idle)
        if orders.idle_workers is not None:
            self.idle_workers = orders.idle_workers
        self._follow(orders)
        self._beaten.set()

    def _follow(self, orders: HeartbeatReply) -> None:
        self._held.stop(orders.stop)
        if orders.superseded:
            if not self.superseded.is_set():
                logger.error("another worker was started under the name %s: this one ends", self._identity.worker_id)
            self.superseded.set()
            return
        if orders.state is not self._state:
            self._state = orders.state
            logger.info("worker %s is %s", self._identity.worker_id, orders.state)
        if orders.state is not WorkerState.ACTIVE:
            self._signals.rest.set()
        elif self._health.complaint is None and not self._drain:
            self._signals.rest.clear()

    def _sweep(self) -> None:
        if not self._beaten.is_set():
            return
        self._beaten.clear()
        afresh, self._was_deaf = self._was_deaf, False
        try:
            sweep(self._farm, self._identity.worker_id, afresh=afresh)
        except DatabaseUnavailable as error:
            self._was_deaf = True
            logger.warning("the sweep was not finished: %s", error)
        except RenderctlError as error:  # such as a job that is discarded while it is swept
            self._was_deaf = self._was_deaf or afresh
            logger.warning("the sweep was not finished: %s", error)
