"""The pages of users and projects: admins manage them, others see those of their projects."""

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
_PAGE_SIZE = 50
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
    """Users, by the filters."""
    filters = {"q": q, "role": role, "project": project, "state": state}
    rows = [user for user in context.verbs.list_users() if _matches(user, filters)]
    return context.show(
        "users",
        page=paginate(rows, page, _PAGE_SIZE, "/users", filters),
        filters=filters,
        is_filtered=any(filters.values()),
        states=_STATES,
        projects=_project_names(context),
        can_add=context.can("user.add"),
        invitations=context.verbs.list_invitations() if context.can("invitation.see") else None,
        can_withdraw=context.can("invitation.withdraw"),
        **_choices(),
    )


@router.get("/users/{name}")
def user(context: CurrentPage, name: Annotated[str, Path(max_length=64)]) -> Response:
    """One user."""
    chosen = next((user for user in context.verbs.list_users() if user.name == name), None)
    if chosen is None:
        raise NotFound(f"There is no user {name!r}.")
    subject = Subject("user", name, owner=name)
    is_self = name == context.principal.actor.name
    return context.show(
        "user",
        user=chosen,
        is_self=is_self,
        projects=_project_names(context),
        tokens=tokens_of(context, name) if context.can("token.see", subject) else None,
        sessions=context.verbs.list_sessions(name) if context.can("session.see", subject) else None,
        can_end_sessions=context.can("session.end", subject),
        totp=context.verbs.totp_status(name) if context.can("totp.see", subject) else None,
        can_reset_totp=context.can("totp.disable", subject) and not is_self,
        can_set_role=context.can("user.role"),
        can_disable=context.can("user.disable"),
        can_change_projects=context.can("project.change"),
        can_set_password=context.can("user.password", subject) and not is_self,
        can_audit=context.can("audit.see"),
        **_choices(),
    )


@router.get("/projects")
def projects(context: CurrentPage, q: FilterText = "", page: PageNumber = 1) -> Response:
    """Projects, by the filter."""
    rows = [project for project in context.verbs.list_projects() if q.casefold() in project.name]
    return context.show(
        "projects",
        page=paginate(rows, page, _PAGE_SIZE, "/projects", {"q": q}),
        filters={"q": q},
        can_change=context.can("project.change"),
    )


def _choices() -> dict[str, Any]:
    return {"roles": tuple(Role), "least_password": MIN_PASSWORD_LENGTH}


def _project_names(context: PageContext) -> list[str]:
    return [project.name for project in context.verbs.list_projects()]


def _matches(user: User, filters: dict[str, str]) -> bool:
    return (
        filters["q"].casefold() in user.name
        and filters["role"] in ("", user.role)
        and (not filters["project"] or filters["project"] in user.projects)
        and filters["state"] in ("", "disabled" if user.disabled_at else "enabled")
    )
