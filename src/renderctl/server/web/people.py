"""Users and projects, for those who say who may do what; others see those that they share projects with."""

from typing import Annotated, Any

from fastapi import Path, Response

from renderctl.core.actors import Role
from renderctl.core.errors import NotFound
from renderctl.core.people import MIN_PASSWORD_LENGTH, User
from renderctl.core.permissions import Subject
from renderctl.server.web.account import tokens_of
from renderctl.server.web.context import CurrentPage, PageContext, new_router
from renderctl.server.web.pagination import PageNumber, Word, paginate

router = new_router()
_A_PAGE = 50
_STATES = ("enabled", "disabled")


@router.get("/users")
def users(
    visitor: CurrentPage, q: Word = "", role: Word = "", project: Word = "", state: Word = "", page: PageNumber = 1
) -> Response:
    """The users, or those that are asked for."""
    said = {"q": q, "role": role, "project": project, "state": state}
    found = [each for each in visitor.verbs.list_users() if _is_wanted(each, said)]
    return visitor.show(
        "users",
        part=paginate(found, page, _A_PAGE, "/users", said),
        said=said,
        filtered=any(said.values()),
        states=_STATES,
        projects=_project_names(visitor),
        adds=visitor.may("user.add"),
        invitations=visitor.verbs.list_invitations() if visitor.may("invitation.see") else None,
        withdraws=visitor.may("invitation.withdraw"),
        **_choices(),
    )


@router.get("/users/{name}")
def user(visitor: CurrentPage, name: Annotated[str, Path(max_length=64)]) -> Response:
    """One user."""
    found = next((each for each in visitor.verbs.list_users() if each.name == name), None)
    if found is None:
        raise NotFound(f"There is no user {name!r}.")
    his = Subject("user", name, owner=name)
    is_self = name == visitor.who.actor.name
    return visitor.show(
        "user",
        user=found,
        is_self=is_self,
        projects=_project_names(visitor),
        tokens=tokens_of(visitor, name) if visitor.may("token.see", his) else None,
        sessions=visitor.verbs.list_sessions(name) if visitor.may("session.see", his) else None,
        ends_sessions=visitor.may("session.end", his),
        totp=visitor.verbs.totp_status(name) if visitor.may("totp.see", his) else None,
        resets_totp=visitor.may("totp.disable", his) and not is_self,
        makes_tokens=visitor.may("token.create", his),
        sets_role=visitor.may("user.role"),
        disables=visitor.may("user.disable"),
        joins=visitor.may("project.change"),
        sets_password=visitor.may("user.password", his) and not is_self,
        audits=visitor.may("audit.see"),
        **_choices(),
    )


@router.get("/projects")
def projects(visitor: CurrentPage, q: Word = "", page: PageNumber = 1) -> Response:
    """The projects, or those that are asked for."""
    found = [each for each in visitor.verbs.list_projects() if q.casefold() in each.name]
    return visitor.show(
        "projects",
        part=paginate(found, page, _A_PAGE, "/projects", {"q": q}),
        said={"q": q},
        changes=visitor.may("project.change"),
    )


def _choices() -> dict[str, Any]:
    return {"roles": tuple(Role), "least_password": MIN_PASSWORD_LENGTH}


def _project_names(visitor: PageContext) -> list[str]:
    return [each.name for each in visitor.verbs.list_projects()]


def _is_wanted(user: User, said: dict[str, str]) -> bool:
    return (
        said["q"].casefold() in user.name
        and said["role"] in ("", user.role)
        and (not said["project"] or said["project"] in user.projects)
        and said["state"] in ("", "disabled" if user.disabled_at else "enabled")
    )
