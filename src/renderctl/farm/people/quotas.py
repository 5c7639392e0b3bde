"""`quota`: what users and projects use of the farm, and may use; and what a request has to keep to."""

from renderctl.core.actors import Actor, Via
from renderctl.core.permissions import Subject
from renderctl.core.quotas import UNLIMITED, Holder, Limits, QuotaReport, Quotas
from renderctl.core.settings import QuotaSettings
from renderctl.farm import Farm
from renderctl.farm.authorization import require, subject_of_project


def quotas_for(farm: Farm, actor: Actor) -> Quotas:
    """What a request of the actor has to keep to: nothing, if they hold the keys to the farm's parts anyway."""
    return UNLIMITED if actor.via is Via.LOCAL else _quotas(farm.settings.quota)


def quota(farm: Farm, actor: Actor, *, user: str | None = None, project: str | None = None) -> tuple[QuotaReport, ...]:
    """What a user, or a project, uses and may use; of neither: the actor and their projects.

    Raises NotFound, NotAllowed.
    """
    named = [Holder(kind, name) for kind, name in (("user", user), ("project", project)) if name is not None]
    own = [Holder("user", actor.name), *(Holder("project", name) for name in sorted(actor.projects))]
    quotas = _quotas(farm.settings.quota)
    for holder in named:
        require(farm, actor, "quota.see", _subject(farm, holder))
    if project is not None:
        farm.repository.projects.require(project)
    reports = tuple(
        farm.repository.quotas.report(holder, quotas.user if holder.kind == "user" else quotas.project)
        for holder in named or own
    )
    if user is not None and user != actor.name and not reports[0].is_used:
        farm.repository.users.get(user)  # who uses the farm's parts directly need not be one
    return reports


def _subject(farm: Farm, holder: Holder) -> Subject:
    if holder.kind == "project":
        return subject_of_project(holder.name)
    users = [user for user in farm.repository.users.all() if user.name == holder.name]
    return Subject("user", holder.name, holder.name, frozenset(users[0].projects if users else ()))


def _quotas(settings: QuotaSettings) -> Quotas:
    return Quotas(
        user=Limits(
            jobs=settings.user_jobs,
            tasks=settings.user_tasks,
            incoming_files=settings.user_incoming_files,
            incoming_bytes=_bytes(settings.user_incoming_mb),
            stored_bytes=_bytes(settings.user_stored_mb),
            webhooks=settings.user_webhooks,
        ),
        project=Limits(
            jobs=settings.project_jobs,
            tasks=settings.project_tasks,
            stored_bytes=_bytes(settings.project_stored_mb),
            webhooks=settings.project_webhooks,
        ),
        job_tasks=settings.job_tasks,
    )


def _bytes(megabytes: int | None) -> int | None:
    return megabytes << 20 if megabytes is not None else None
