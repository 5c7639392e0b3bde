"""Telling: whoever holds the lease empties the outbox, many receivers at once, each of them one delivery at a time.

A process that dies between sending and noting it leaves the delivery waiting: it is sent again, under the same id.
"""

import logging
import random
import threading
from collections.abc import Mapping

from renderctl.core.errors import RenderctlError
from renderctl.core.webhooks import DeliveryAttempt, DeliveryState, PreparedDelivery
from renderctl.farm import Farm
from renderctl.farm.periodic import PeriodicThread
from renderctl.farm.webhooks.payload import body_of, headers_of

logger = logging.getLogger(__name__)

#: Receivers that are told at a time; of those that have failed last, only so many: they may well hang.
_RECEIVERS, _FAILING = 16, 8
#: And of one user: that all of theirs hang is nothing to the others.
_OF_ONE_OWNER = 4
#: Seconds between two looks at the outbox, and seconds for which one receiver is told before others have their turn.
_LOOK_EVERY_S, _TURN_S = 1.0, 5.0
#: Seconds that whoever leaves still takes for what is due.
_LEAVE_S = 5.0


def deliver(farm: Farm, parcel: PreparedDelivery) -> tuple[str, DeliveryAttempt]:
    """Try a delivery once; the body that was sent, and what came of it."""
    from renderctl.farm.webhooks.http_post import post  # most farms have no webhook, and need nothing that speaks HTTP

    text = parcel.body if parcel.body is not None else body_of(farm, parcel.delivery, parcel.payload)
    body = text.encode()
    headers = headers_of(parcel.delivery, body, parcel.secret, int(parcel.at.timestamp()))
    return text, post(parcel.url, body, headers, farm.settings.webhooks)


class WebhookDispatcher:
    """Tells receivers for as long as it runs, while nobody else does. It costs a look a second, or fewer."""

    def __init__(self, farm: Farm, name: str, *, chance: random.Random | None = None) -> None:
        self._farm = farm
        self._chance = chance or random.Random()  # its own: another thread's is none of ours
        self._name = name
        self._held = False
        self._ask_at = 0.0  # for the lease, again
        self._turns: dict[str, threading.Thread] = {}  # by webhook
        self._owners: dict[str, str] = {}  # of the webhooks that have their turn
        self._failing: set[str] = set()
        self._lock = threading.Lock()
        every_s = min(_LOOK_EVERY_S, farm.settings.worker.heartbeat)
        self._looking = PeriodicThread(farm.clock, "teller", every_s, self._look, first_s=every_s)
        self._stopped = threading.Event()
        self._puzzling: set[str] = set()  #: those that this process tells nothing more: see `_run`

    @property
    def error(self) -> BaseException | None:
        """What it has died of: that is a mistake in the program, as receivers and the database have none of it."""
        return self._looking.error

    def start(self) -> None:
        if self._farm.settings.webhooks.send:
            self._looking.start()

    def stop(self) -> None:
        """Tell what is due, if that takes no time; leave the rest, and the lease, to others."""
        if not self._farm.settings.webhooks.send:
            return
        self._looking.stop()
        ends = self._farm.clock.monotonic() + _LEAVE_S
        self._look()
        for thread in self._under_way():
            thread.join(max(0.0, ends - self._farm.clock.monotonic()))
        self._stopped.set()
        try:
            self._farm.repository.deliveries.release_lease(self._name)
        except RenderctlError as error:
            logger.info("the lease of the webhooks was not given back: %s", error)

    def _look(self) -> None:
        try:
            if self._holds():
                self._take_turns(self._farm.repository.deliveries.due_webhooks())
        except RenderctlError as error:
            logger.info("webhooks are not told at the moment: %s", error)

    def _holds(self) -> bool:
        """Whether the lease is held: kept three times in its life, or asked for when its holder may have died."""
        now, limit_s = self._farm.clock.monotonic(), self._farm.settings.worker.heartbeat_limit
        if now >= self._ask_at:
            self._ask_at = now + limit_s
            self._held = self._farm.repository.deliveries.acquire_lease(self._name)
            if self._held:
                self._ask_at = now + limit_s / 3
        return self._held

    def _take_turns(self, due: Mapping[str, str]) -> None:
        """`due`: webhooks, and whose they are."""
        webhooks = list(due)
        self._chance.shuffle(webhooks)  # where they are more than can be told at once, none is always the last
        for webhook in webhooks:
            with self._lock:
                busy = set(self._turns)
                many = webhook in self._failing and len(busy & self._failing) >= _FAILING
                many |= list(self._owners.values()).count(due[webhook]) >= _OF_ONE_OWNER
                if webhook in busy | self._puzzling or many or len(busy) >= _RECEIVERS:
                    continue
                self._owners[webhook] = due[webhook]
                thread = threading.Thread(target=self._run, args=(webhook,), name=f"tell-{webhook}", daemon=True)
                self._turns[webhook] = thread
            thread.start()

    def _run(self, webhook: str) -> None:
        try:
            self._turn(webhook)
        except RenderctlError as error:  # it is told again, maybe twice
            logger.info("webhook %s was not told of everything: %s", webhook, error)
        except Exception:
            # A mistake of ours. It ends nobody's work: the next holder of the lease would meet it, too, and the next.
            logger.exception("webhook %s is told nothing more by this process: what it is owed stays", webhook)
            with self._lock:
                self._puzzling.add(webhook)
        finally:
            with self._lock:
                del self._turns[webhook], self._owners[webhook]

    def _turn(self, webhook: str) -> None:
        """Tell one receiver what is due, in its order, until it fails or others wait."""
        ends = self._farm.clock.monotonic() + _TURN_S
        while not self._stopped.is_set() and (parcel := self._farm.repository.deliveries.next_due(webhook)):
            body, tried = deliver(self._farm, parcel)
            state = self._farm.repository.deliveries.record_attempt(parcel, body, tried, chance=self._chance.random())
            with self._lock:
                (self._failing.discard if tried.error is None else self._failing.add)(webhook)
            if state is DeliveryState.UNDELIVERABLE:
                logger.warning("delivery %s of webhook %s is given up: %s", parcel.delivery.id, webhook, tried.error)
            if tried.error is not None or self._farm.clock.monotonic() >= ends:
                return

    def _under_way(self) -> list[threading.Thread]:
        with self._lock:
            return list(self._turns.values())
