"""Webhooks: events, deliveries, signatures and the retry schedule."""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any


class Event(StrEnum):
    """An event that can be delivered."""

    OUTPUT_PUBLISHED = "output.published"
    JOB_SUCCEEDED = "job.succeeded"
    JOB_FAILED = "job.failed"
    JOB_CANCELED = "job.canceled"
    TASK_FAILED = "task.failed"  #: finally: it is not retried


#: The event that `webhooks test` sends, only to the tested receiver.
PING = "ping"


class DeliveryState(StrEnum):
    """The state of a delivery."""

    WAITING = "waiting"  #: for its first or next try
    DELIVERED = "delivered"
    UNDELIVERABLE = "undeliverable"  #: it is not retried unless a person resends it


#: States of deliveries that the receiver has not accepted.
UNDELIVERED_STATES = (DeliveryState.WAITING, DeliveryState.UNDELIVERABLE)


@dataclass(frozen=True)
class Webhook:
    """A receiver and its events, without its secret."""

    id: str
    url: str
    project: str
    job: str | None  #: only events of this job; None: of every job of the project
    events: tuple[Event, ...]
    owner: str
    created_at: datetime


@dataclass(frozen=True)
class Delivery:
    """The delivery of one event to one receiver."""

    id: str  #: the same for each try, so that the receiver can drop duplicates
    webhook: str
    event: str
    job: str | None
    at: datetime  #: when the event occurred
    state: DeliveryState
    tries: int
    due_at: datetime | None  #: time of the next try; None: there is none
    tried_at: datetime | None = None
    status: int | None = None  #: HTTP status of the last response; None: there was none
    error: str | None = None  #: why the last try failed
    answer: str | None = None  #: the beginning of the last response


#: Seconds before the second try, the longest delay, and the number of tries: together they take about a day.
_FIRST_DELAY_S, _MAX_DELAY_S, MAX_TRIES = 10.0, 3600.0, 32


def retry_delay(tries: int, chance: float) -> float | None:
    """Return the seconds from try number `tries` to the next, with jitter by `chance` (0 to 1); None after the last."""
    if tries >= MAX_TRIES:
        return None
    delay_s: float = min(_FIRST_DELAY_S * 2 ** (tries - 1), _MAX_DELAY_S)
    return delay_s * (0.75 + 0.5 * chance)


def signature(secret: str, body: bytes, at: int) -> str:
    """Return the signature header: HMAC-SHA256 of the body and the time `at` (Unix seconds)."""
    signed = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256)
    return f"t={at},v1={signed.hexdigest()}"


@dataclass(frozen=True)
class PreparedDelivery:
    """A delivery that is due, with all that sending it takes."""

    delivery: Delivery
    url: str
    secret: str
    payload: dict[str, Any]  #: what was known in the transaction of the event
    body: str | None  #: as it was sent before; None: this is the first try
    at: datetime  #: now, by the database's clock

    def __repr__(self) -> str:
        return f"PreparedDelivery({self.delivery.id})"  # the secret and the address are for nobody's log


@dataclass(frozen=True)
class DeliveryAttempt:
    """The result of a delivery attempt. Without an error it was delivered."""

    status: int | None  #: of the answer; None: there was none
    answer: str | None  #: how it began
    error: str | None
    final: bool = False  #: a retry cannot help
