"""`workers`: who works for the farm."""

from renderctl.actors import Actor
from renderctl.farm import Farm
from renderctl.workers import Worker


def list_workers(farm: Farm, *, all_of_them: bool = False) -> list[Worker]:
    """The workers; those that are gone only on request."""
    return farm.repository.workers(all_of_them=all_of_them)


def drain_worker(farm: Farm, worker_ref: str, *, actor: Actor) -> Worker:
    """Let a worker finish its frames and take no more until it is resumed. Raises NotFound."""
    return farm.repository.drain(worker_ref, actor=actor)


def resume_worker(farm: Farm, worker_ref: str, *, actor: Actor) -> Worker:
    """Let a drained or quarantined worker take work again, with a clean record. Raises NotFound."""
    return farm.repository.drain(worker_ref, actor=actor, resume=True)
