"""Whether somebody may still follow a job: streams ask again and again, as rights change while they are open."""

from renderctl.core.actors import Actor
from renderctl.farm import Farm
from renderctl.farm.authorization import authorized_job


def require_job_access(farm: Farm, actor: Actor, job_ref: str) -> None:
    """Raises NotFound or NotAllowed unless the actor may see the job."""
    authorized_job(farm, actor, job_ref, "job.see")


def require_log_access(farm: Farm, actor: Actor, job_ref: str) -> None:
    """Raises NotFound or NotAllowed unless the actor may read the job's logs."""
    authorized_job(farm, actor, job_ref, "job.logs")
