"""The gate that every use-case passes: the permission table is asked, and what it refuses is told to the audit log."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Generic, TypeVar

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


@dataclass(frozen=True)
class _Lookup(Generic[Found]):
    """How something is found, and what the permission table knows it as."""

    see: str  #: the action of seeing it
    find: Callable[..., Found]
    subject_of: Callable[[Found], Subject]


def authorized_job(farm: Farm, actor: Actor, ref: str, action: str) -> Job:
    """Return the job of a reference, if the actor may do this with it. Raises NotFound, NotAllowed."""
    lookup = _Lookup("job.see", partial(farm.repository.jobs.find, ref), subject_of_job)
    return _authorized(farm, actor, action, lookup)


def authorized_jobs(farm: Farm, actor: Actor, refs: Sequence[str], action: str) -> list[Job]:
    """Return the jobs of references, read at one moment, if the actor may do this with them.

    Raises NotFound, NotAllowed.
    """
    if not refs:
        return []
    with suppress(NotFound):
        jobs = farm.repository.jobs.find_all(refs, visibility=visibility_of(actor, "job.see"))
        for job in jobs:
            require(farm, actor, action, subject_of_job(job))
        return jobs
    return [authorized_job(farm, actor, ref, action) for ref in refs]  # says which, and audits it


def authorized_job_at(farm: Farm, actor: Actor, ref: str, action: str) -> tuple[Job, datetime]:
    """Return the job as `authorized_job` does, and the database's time of that."""
    find = partial(farm.repository.jobs.find_at, ref)
    return _authorized(farm, actor, action, _Lookup("job.see", find, lambda found: subject_of_job(found[0])))


def authorized_model(farm: Farm, actor: Actor, ref: str, action: str, *, project: str | None = None) -> Model:
    """Return the model of a reference, if the actor may do this with it; of several of a name that of the `project`.

    Raises NotFound, NotAllowed.
    """
    find = partial(farm.repository.models.find, ref, project=project)
    return _authorized(farm, actor, action, _Lookup("model.see", find, subject_of_model))


def authorized_webhook(farm: Farm, actor: Actor, ref: str, action: str) -> Webhook:
    """Return the webhook of a reference, if the actor may do this with it. Raises NotFound, NotAllowed."""
    lookup = _Lookup("webhook.see", partial(farm.repository.webhooks.find, ref), subject_of_webhook)
    return _authorized(farm, actor, action, lookup)


def authorized_delivery(farm: Farm, actor: Actor, ref: str, action: str) -> Delivery:
    """Return the delivery of a reference, if the actor may do this with its webhook. Raises NotFound, NotAllowed."""
    find = partial(farm.repository.deliveries.find, ref)
    delivery, _ = _authorized(
        farm, actor, action, _Lookup("webhook.see", find, lambda found: subject_of_webhook(found[1]))
    )
    return delivery


def _authorized(farm: Farm, actor: Actor, action: str, lookup: _Lookup[Found]) -> Found:
    """Find what the actor can see; a look at the rest goes into the audit log, and to the actor it is not there."""
    visible = visibility_of(actor, lookup.see)
    try:
        found = lookup.find(visibility=visible)
    except NotFound:
        if visible is not ALL:
            with suppress(NotFound):
                hidden = lookup.subject_of(lookup.find(visibility=ALL))
                farm.repository.audit.add_refusal(actor, action, hidden, "hidden")
        raise
    require(farm, actor, action, lookup.subject_of(found))
    return found


def subject_of_job(job: Job) -> Subject:
    return Subject.in_project("job", job.id, job.project, job.owner)


def subject_of_model(model: Model) -> Subject:
    return Subject.in_project("model", model.ref, model.project, model.owner)


def subject_of_project(name: str) -> Subject:
    return Subject.in_project("project", name, name)


def subject_of_webhook(webhook: Webhook) -> Subject:
    return Subject.in_project("webhook", webhook.id, webhook.project, webhook.owner)
