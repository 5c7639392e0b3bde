"""Attempts as slots claim and complete them."""

from dataclasses import dataclass

from renderctl.core.jobs import Attempt, Job, Output
from renderctl.core.requirements import Requirements
from renderctl.core.workers import NO_CAPABILITIES, Capabilities


@dataclass(frozen=True)
class Claimant:
    """A slot that claims tasks."""

    worker_id: str
    incarnation: str
    slot: int
    pools: tuple[str, ...]
    capabilities: Capabilities = NO_CAPABILITIES

    def suits(self, requirements: Requirements, bound_to: str | None) -> bool:
        """Whether the worker meets a job's requirements. A job that a person has reserved for it (`bound_to`) always
        suits.
        """
        return bound_to == self.worker_id or self.capabilities.lacks(requirements) is None


@dataclass(frozen=True)
class Claim:
    """What a slot has claimed of a job, and what becomes of the job's ticket."""

    job: Job | None = None  #: None: the ticket was stale, or the job has nothing to give
    attempts: tuple[Attempt, ...] = ()
    serial: int | None = None  #: a ticket with this serial goes back to the queue; None: none does
    delay_s: float = 0.0  #: after so many seconds


@dataclass(frozen=True)
class Cost:
    """What an attempt has used."""

    seconds: float | None = None
    memory_mb: float | None = None
    device: str | None = None


@dataclass(frozen=True)
class Completion:
    """A completed attempt."""

    attempt: Attempt
    outputs: tuple[Output, ...]
    cost: Cost
    log: str | None = None  #: where its log is, if not under the attempt's own id: see Attempt.log
