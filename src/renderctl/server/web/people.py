"""Users and projects, for those who say who may do what; others see those that they share projects with."""

from typing import Annotated, Any

from fastapi import Path, Response

from renderctl.core.actors import Role
from renderctl.core.errors import NotFound
from renderctl.core.people import MIN_PASSWORD_LENGTH, User
from renderctl.core.permissions import Subject
from renderctl.server.web.account import tokens_of
from renderctl.server.web.context import CurrentPage, PageContext, new_router
from renderctl.server.web.pagination import FilterText, PageNumber, paginate

router = new_router()
_A_PAGE = 50
_STATES = ("enabled", "disabled")


@router.get("/users")
def users(
    context: CurrentPage,
    q: FilterText = "",
    role: FilterText = "",
    project: FilterText = "",
    state: FilterText = "",
    page: PageNumber = 1,
) -> Response:
    """The users, or those that are asked for."""
    said = {"q": q, "role": role, "project": project, "state": state}
    found = [each for each in context.verbs.list_users() if _is_wanted(each, said)]
    return context.show(
        "users",
        part=paginate(found, page, _A_PAGE, "/users", said),
        said=said,
        filtered=any(said.values()),
        states=_STATES,
        projects=_project_names(context),
        adds=context.can("user.add"),
        invitations=context.verbs.list_invitations() if context.can("invitation.see") else None,
        withdraws=context.can("invitation.withdraw"),
        **_choices(),
    )


@router.get("/users/{name}")
def user(context: CurrentPage, name: Annotated[str, Path(max_length=64)]) -> Response:
    """One user."""
    found = next((each for each in context.verbs.list_users() if each.name == name), None)
    if found is None:
        raise NotFound(f"There is no user {name!r}.")
    his = Subject("user", name, owner=name)
    is_self = name == context.principal.actor.name
    return context.show(
        "user",
        user=found,
        is_self=is_self,
        projects=_project_names(context),
        tokens=tokens_of(context, name) if context.can("token.see", his) else None,
        sessions=context.verbs.list_sessions(name) if context.can("session.see", his) else None,
        ends_sessions=context.can("session.end", his),
        totp=context.verbs.totp_status(name) if context.can("totp.see", his) else None,
        resets_totp=context.can("totp.disable", his) and not is_self,
        makes_tokens=context.can("token.create", his),
        sets_role=context.can("user.role"),
        disables=context.can("user.disable"),
        joins=context.can("project.change"),
        sets_password=context.can("user.password", his) and not is_self,
        audits=context.can("audit.see"),
        **_choices(),
    )


@router.get("/projects")
def projects(context: CurrentPage, q: FilterText = "", page: PageNumber = 1) -> Response:
    """The projects, or those that are asked for."""
    found = [each for each in context.verbs.list_projects() if q.casefold() in each.name]
    return context.show(
        "projects",
        part=paginate(found, page, _A_PAGE, "/projects", {"q": q}),
        said={"q": q},
        changes=context.can("project.change"),
    )


def _choices() -> dict[str, Any]:
    return {"roles": tuple(Role), "least_password": MIN_PASSWORD_LENGTH}


def _project_names(context: PageContext) -> list[str]:
    return [each.name for each in context.verbs.list_projects()]


def _is_wanted(user: User, said: dict[str, str]) -> bool:
    return (
        said["q"].casefold() in user.name
        and said["role"] in ("", user.role)
        and (not said["project"] or said["project"] in user.projects)
        and said["state"] in ("", "disabled" if user.disabled_at else "enabled")
    )
