"""Metrics of the whole farm."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Cursor:
    """Up to where somebody has counted."""

    output: int
    at: datetime
    known: frozenset[str]  #: the attempts and jobs among those that are looked at once more


@dataclass(frozen=True)
class Since:
    """What has come since a cursor."""

    frames_s: tuple[float, ...]  #: what each rendered frame took, in seconds
    waits_s: tuple[float, ...]  #: how long each job has waited whose first task was claimed
    cursor: Cursor  #: of this moment


@dataclass(frozen=True)
class Measures:
    """Metrics of the farm at one moment."""

    tasks: dict[str, int]  #: of jobs that have not ended, by state
    jobs: dict[str, int]  #: by state
    workers: dict[str, int]  #: by state
    attempts: dict[str, int]  #: by state, of all jobs that are kept
    waiting_s: float  #: since the oldest job was submitted that has work and of which nothing was ever claimed; 0: none
    queue_depth: int  #: jobs that have work to give
    slots: int  #: of the workers that are there
    deliveries: dict[str, int]  #: of webhooks, by state: those that wait, and those that are undeliverable
