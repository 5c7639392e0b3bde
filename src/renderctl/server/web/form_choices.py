"""What somebody may choose from when he submits."""

from collections.abc import Mapping

from renderctl.core.people import Project
from renderctl.core.permissions import Subject
from renderctl.server.web.context import PageContext


def own_projects(context: PageContext) -> tuple[str, ...]:
    """The projects that he may submit to, his own first."""
    names = dict.fromkeys(
        (context.principal.actor.default_project, *sorted(context.principal.actor.projects), *_known(context))
    )
    return tuple(each for each in names if context.can_submit_to(each))


def usable_pools(context: PageContext) -> tuple[str, ...]:
    """The pools that he may submit to with one of his projects: those that somebody serves, or a project names."""
    known = _known(context)
    served = {pool for worker in context.verbs.list_workers() for pool in worker.pools}
    names = {"default", *served, *(pool for each in known.values() for pool in each.pools)}
    return tuple(
        sorted(filter(lambda name: _may_use(context, known, name), names), key=lambda name: (name != "default", name))
    )


def _may_use(context: PageContext, known: Mapping[str, Project], pool: str) -> bool:
    if context.can("pool.use", Subject("pool", pool)):
        return True
    usable = {each for each in context.principal.actor.projects if each not in known or known[each].may_use(pool)}
    return context.can("pool.use", Subject("pool", pool, None, frozenset(usable)))


def _known(context: PageContext) -> dict[str, Project]:
    return {each.name: each for each in context.verbs.list_projects()}
