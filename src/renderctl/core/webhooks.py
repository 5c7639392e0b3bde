"""Webhooks: who is told of what, how that is signed, and when it is tried again."""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Event(StrEnum):
    """What a receiver may be told of."""

    OUTPUT_PUBLISHED = "output.published"
    JOB_SUCCEEDED = "job.succeeded"
    JOB_FAILED = "job.failed"
    JOB_CANCELED = "job.canceled"
    TASK_FAILED = "task.failed"  #: for good: it is not tried again


#: What `webhooks test` sends: nobody is told of it otherwise.
PING = "ping"


class DeliveryState(StrEnum):
    WAITING = "waiting"  #: for its first try, or the next one
    DELIVERED = "delivered"
    UNDELIVERABLE = "undeliverable"  #: it is not tried again, unless somebody resends it


#: States of what a receiver does not know.
UNDELIVERED_STATES = (DeliveryState.WAITING, DeliveryState.UNDELIVERABLE)


@dataclass(frozen=True)
class Webhook:
    """A receiver, and what it is told of. Its secret is no part of what is known of it."""

    id: str
    url: str
    project: str
    job: str | None  #: told of this job alone; None: of every job of the project
    events: tuple[Event, ...]
    owner: str
    created_at: datetime


@dataclass(frozen=True)
class Delivery:
    """One event for one receiver."""

    id: str  #: the same for each try, so that the receiver can drop doubles
    webhook: str
    event: str
    job: str | None
    at: datetime  #: when it came to pass
    state: DeliveryState
    tries: int
    due_at: datetime | None  #: of the next try; None: there is none
    tried_at: datetime | None = None
    status: int | None = None  #: of the last answer; None: there was none
    error: str | None = None  #: why the last try came to nothing
    answer: str | None = None  #: how the last answer began


#: Seconds before the second try, the longest between two, and tries in all: they take about a day.
_FIRST_DELAY_S, _LONGEST_DELAY_S, TRIES = 10.0, 3600.0, 32


def retry_delay(tries: int, chance: float) -> float | None:
    """Seconds from the try of that number to the next one, spread by a `chance` of 0 to 1; None: that was the last."""
    if tries >= TRIES:
        return None
    delay_s: float = min(_FIRST_DELAY_S * 2 ** (tries - 1), _LONGEST_DELAY_S)
    return delay_s * (0.75 + 0.5 * chance)


def signature(secret: str, body: bytes, at: int) -> str:
    """The header that proves who sent a body, and when (seconds since 1970): HMAC-SHA256 over both."""
    signed = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256)
    return f"t={at},v1={signed.hexdigest()}"
