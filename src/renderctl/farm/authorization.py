"""The gate that every use-case passes: the permission table is asked, and what it refuses is told to the audit log."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import TypeVar

from renderctl.core.actors import Actor
from renderctl.core.errors import NotAllowed, NotFound
from renderctl.core.jobs import Job
from renderctl.core.models import Model
from renderctl.core.permissions import ALL, FARM, Subject, authorize, visibility_of
from renderctl.core.webhooks import Delivery, Webhook
from renderctl.farm import Farm

Found = TypeVar("Found")


def require(farm: Farm, actor: Actor, action: str, subject: Subject = FARM) -> None:
    """Let the actor do it. Raises NotAllowed, or NotFound where its existence is a secret."""
    try:
        authorize(actor, action, subject)
    except (NotAllowed, NotFound) as error:
        outcome = "refused" if isinstance(error, NotAllowed) else "hidden"
        farm.repository.audit.add_refusal(actor, action, subject, outcome)
        raise


def authorized_job(farm: Farm, actor: Actor, ref: str, action: str) -> Job:
    """The job of that reference, if the actor may do this with it. Raises NotFound, NotAllowed."""
    job = _seen(farm, partial(farm.repository.jobs.find, ref), action, subject_of_job, actor)
    require(farm, actor, action, subject_of_job(job))
    return job


def authorized_jobs(farm: Farm, actor: Actor, refs: Sequence[str], action: str) -> list[Job]:
    """The jobs of those references, read at one moment, if the actor may do this with them.

    Raises NotFound, NotAllowed.
    """
    if not refs:
        return []
    with suppress(NotFound):
        jobs = farm.repository.jobs.find_all(refs, visibility=visibility_of(actor, "job.see"))
        for job in jobs:
            require(farm, actor, action, subject_of_job(job))
        return jobs
    return [authorized_job(farm, actor, ref, action) for ref in refs]  # says which, and notes it


def authorized_job_at(farm: Farm, actor: Actor, ref: str, action: str) -> tuple[Job, datetime]:
    """As `the_job`, and when that was, by the database's clock."""
    job, at = _seen(
        farm, partial(farm.repository.jobs.find_at, ref), action, lambda found: subject_of_job(found[0]), actor
    )
    require(farm, actor, action, subject_of_job(job))
    return job, at


def authorized_model(farm: Farm, actor: Actor, ref: str, action: str, *, project: str | None = None) -> Model:
    """The model of that reference; of several of a name that of the `project`. Raises NotFound, NotAllowed."""
    model = _seen(farm, partial(farm.repository.models.find, ref, project=project), action, subject_of_model, actor)
    require(farm, actor, action, subject_of_model(model))
    return model


def authorized_webhook(farm: Farm, actor: Actor, ref: str, action: str) -> Webhook:
    """The webhook of that reference, if the actor may do this with it. Raises NotFound, NotAllowed."""
    webhook = _seen(farm, partial(farm.repository.webhooks.find, ref), action, subject_of_webhook, actor)
    require(farm, actor, action, subject_of_webhook(webhook))
    return webhook


def authorized_delivery(farm: Farm, actor: Actor, ref: str, action: str) -> Delivery:
    """The delivery of that reference, if the actor may do this with its webhook. Raises NotFound, NotAllowed."""
    find = partial(farm.repository.deliveries.find, ref)
    delivery, webhook = _seen(farm, find, action, lambda found: subject_of_webhook(found[1]), actor)
    require(farm, actor, action, subject_of_webhook(webhook))
    return delivery


def _seen(
    farm: Farm, find: Callable[..., Found], action: str, described: Callable[[Found], Subject], actor: Actor
) -> Found:
    """What the actor can see of what there is; a look at the rest is told to the audit log, and to nobody else."""
    visible = visibility_of(actor, f"{action.partition('.')[0]}.see")
    try:
        return find(visibility=visible)
    except NotFound:
        if visible is not ALL:
            with suppress(NotFound):
                farm.repository.audit.add_refusal(actor, action, described(find(visibility=ALL)), "hidden")
        raise


def subject_of_job(job: Job) -> Subject:
    return Subject.in_project("job", job.id, job.project, job.owner)


def subject_of_model(model: Model) -> Subject:
    return Subject.in_project("model", model.ref, model.project, model.owner)


def subject_of_project(name: str) -> Subject:
    return Subject.in_project("project", name, name)


def subject_of_webhook(webhook: Webhook) -> Subject:
    return Subject.in_project("webhook", webhook.id, webhook.project, webhook.owner)
