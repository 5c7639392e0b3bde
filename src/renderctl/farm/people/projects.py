"""`projects`: who works with whom, and which pools are for them."""

from collections.abc import Sequence

from renderctl.core.actors import Actor
from renderctl.core.people import Project, validated_name
from renderctl.core.permissions import Verdict, verdict
from renderctl.farm import Farm
from renderctl.farm.authorization import require, subject_of_project


def list_projects(farm: Farm, actor: Actor) -> list[Project]:
    """The projects that the actor may see, by their names."""
    projects = farm.repository.projects.all()
    return [
        project
        for project in projects
        if verdict(actor, "project.see", subject_of_project(project.name)) is Verdict.ALLOWED
    ]


def add_project(farm: Farm, actor: Actor, name: str, pools: Sequence[str] = ()) -> Project:
    """Add a project; its artists submit to these pools alone, or to any. Raises InvalidInput, Conflict, NotAllowed."""
    require(farm, actor, "project.change", subject_of_project(name))
    return farm.repository.projects.add(validated_name(name, "project"), pools, actor=actor)


def set_pools(farm: Farm, actor: Actor, name: str, pools: Sequence[str]) -> Project:
    """Its artists submit to these pools alone; none: to any. Raises NotFound, NotAllowed."""
    require(farm, actor, "project.change", subject_of_project(name))
    return farm.repository.projects.set_pools(name, pools, actor=actor)


def join_project(farm: Farm, actor: Actor, name: str, users: Sequence[str]) -> Project:
    """Make users members of a project: they see all of it. Raises NotFound, NotAllowed."""
    require(farm, actor, "project.change", subject_of_project(name))
    return farm.repository.projects.add_members(name, users, actor=actor)


def leave_project(farm: Farm, actor: Actor, name: str, users: Sequence[str]) -> Project:
    """They are members no longer; what is theirs they keep. Raises NotFound, NotAllowed."""
    require(farm, actor, "project.change", subject_of_project(name))
    return farm.repository.projects.remove_members(name, users, actor=actor)
