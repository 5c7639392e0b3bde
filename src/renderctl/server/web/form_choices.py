"""The projects and pools that a user may choose from when they submit."""

from collections.abc import Mapping

from renderctl.core.people import Project
from renderctl.core.permissions import Subject
from renderctl.server.web.context import PageContext


def own_projects(context: PageContext) -> tuple[str, ...]:
    """The projects that the user may submit to, their home project first."""
    names = dict.fromkeys(
        (context.principal.actor.default_project, *sorted(context.principal.actor.projects), *_known(context))
    )
    return tuple(name for name in names if context.can_submit_to(name))


def usable_pools(context: PageContext) -> tuple[str, ...]:
    """The pools that the user may submit to, of those that workers serve or projects name."""
    known = _known(context)
    served = {pool for worker in context.verbs.list_workers() for pool in worker.pools}
    names = {"default", *served, *(pool for project in known.values() for pool in project.pools)}
    return tuple(
        sorted(filter(lambda name: _may_use(context, known, name), names), key=lambda name: (name != "default", name))
    )


def _may_use(context: PageContext, known: Mapping[str, Project], pool: str) -> bool:
    if context.can("pool.use", Subject("pool", pool)):
        return True
    usable = {name for name in context.principal.actor.projects if name not in known or known[name].may_use(pool)}
    return context.can("pool.use", Subject("pool", pool, None, frozenset(usable)))


def _known(context: PageContext) -> dict[str, Project]:
    return {project.name: project for project in context.verbs.list_projects()}
