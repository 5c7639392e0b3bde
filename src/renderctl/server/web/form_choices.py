"""What somebody may choose from when he submits."""

from collections.abc import Mapping

from renderctl.core.people import Project
from renderctl.core.permissions import Subject
from renderctl.server.web.context import PageContext


def own_projects(visit: PageContext) -> tuple[str, ...]:
    """The projects that he may submit to, his own first."""
    names = dict.fromkeys((visit.who.actor.default_project, *sorted(visit.who.actor.projects), *_known(visit)))
    return tuple(each for each in names if visit.may_submit_to(each))


def usable_pools(visit: PageContext) -> tuple[str, ...]:
    """The pools that he may submit to with one of his projects: those that somebody serves, or a project names."""
    known = _known(visit)
    served = {pool for worker in visit.verbs.list_workers() for pool in worker.pools}
    names = {"default", *served, *(pool for each in known.values() for pool in each.pools)}
    return tuple(
        sorted(filter(lambda name: _may_use(visit, known, name), names), key=lambda name: (name != "default", name))
    )


def _may_use(visit: PageContext, known: Mapping[str, Project], pool: str) -> bool:
    if visit.may("pool.use", Subject("pool", pool)):
        return True
    usable = {each for each in visit.who.actor.projects if each not in known or known[each].may_use(pool)}
    return visit.may("pool.use", Subject("pool", pool, None, frozenset(usable)))


def _known(visit: PageContext) -> dict[str, Project]:
    return {each.name: each for each in visit.verbs.list_projects()}
