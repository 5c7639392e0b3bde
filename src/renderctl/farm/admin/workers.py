"""`workers`: who works for the farm."""

from dataclasses import replace

from renderctl.core.actors import Actor
from renderctl.core.permissions import ALL, Subject, visibility_of
from renderctl.core.workers import CurrentWork, Worker
from renderctl.farm import Farm
from renderctl.farm.authorization import require


def list_workers(farm: Farm, actor: Actor, *, all_of_them: bool = False) -> list[Worker]:
    """The workers; those that are gone only on request. Of what they work on, that which the actor may see."""
    require(farm, actor, "worker.see")
    workers, visible = farm.repository.workers.all(include_gone=all_of_them), visibility_of(actor, "job.see")
    if visible is ALL:
        return workers
    seen = farm.repository.jobs.visible_ids({_job_of(task) for worker in workers for task in worker.tasks}, visible)
    return [replace(worker, tasks=tuple(task for task in worker.tasks if _job_of(task) in seen)) for worker in workers]


def work_at_hand(farm: Farm, actor: Actor) -> list[CurrentWork]:
    """What the slots are doing at this moment; of what the actor may not see, only that a slot has something to do."""
    require(farm, actor, "worker.see")
    return farm.repository.workers.current_work(visibility_of(actor, "job.see"))


def drain_worker(farm: Farm, actor: Actor, worker_ref: str) -> Worker:
    """Let a worker finish its frames and take no more until it is resumed. Raises NotFound."""
    require(farm, actor, "worker.control", Subject("worker", worker_ref))
    return farm.repository.workers.drain(worker_ref, actor=actor)


def resume_worker(farm: Farm, actor: Actor, worker_ref: str) -> Worker:
    """Let a drained or quarantined worker take work again, with a clean record. Raises NotFound."""
    require(farm, actor, "worker.control", Subject("worker", worker_ref))
    return farm.repository.workers.drain(worker_ref, actor=actor, resume=True)


def _job_of(task_id: str) -> str:
    return task_id.rpartition("-")[0]
