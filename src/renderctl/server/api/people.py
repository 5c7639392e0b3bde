"""Users, invitations, projects and tokens."""

from typing import Annotated

from fastapi import Path, Query, Request, Response, Security
from fastapi.security import HTTPAuthorizationCredentials
from pydantic import BaseModel, ConfigDict, Field

from renderctl.core.actors import Role, Scope
from renderctl.core.errors import NotFound
from renderctl.core.people import Invitation, Project, Token, User
from renderctl.farm.people.sessions import Proof
from renderctl.farm.people.tokens import NewToken
from renderctl.farm.people.users import Invited
from renderctl.server.api import new_router
from renderctl.server.authentication import Authenticator, Commands, address_of, bearer_token
from renderctl.server.request_models import Name
from renderctl.server.responses import json_response
from renderctl.wiring.server_parts import ServerParts

router = new_router("people")
UserName = Annotated[str, Path(description="A user's name.", max_length=64)]
ProjectName = Annotated[str, Path(description="A project's name.", max_length=64)]
Password = Annotated[str, Field(max_length=1024)]
Otp = Annotated[str, Field(description="A code of the second factor, or a recovery code.", max_length=64)]
_FOR_EVER_S = 1e10


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class UserBody(_Body):
    name: Name
    role: Role = Role.ARTIST
    projects: list[Name] = []
    password: Password | None = None


class RoleBody(_Body):
    role: Role


class PasswordBody(_Body):
    password: Password
    old: Password | None = Field(None, description="The old one, when it is one's own.")


class InviteBody(_Body):
    role: Role = Role.ARTIST
    projects: list[Name] = []
    lasts_s: float = Field(7 * 86_400.0, gt=0, le=_FOR_EVER_S)


class ProjectBody(_Body):
    name: Name
    pools: list[Name] = []


class PoolsBody(_Body):
    pools: list[Name] = Field(description="Those that its artists submit to; none: any.")


class MembersBody(_Body):
    users: list[Name]


class TokenBody(_Body):
    name: Name = Field(description="What it is for.")
    user: Name | None = Field(None, description="Whose; null: one's own.")
    scope: Scope = Scope.WORK
    lasts_s: float | None = Field(90 * 86_400.0, gt=0, le=_FOR_EVER_S, description="Seconds; null: for ever.")


class PasswordTokenBody(_Body):
    user: Name
    password: Password
    name: Name
    otp: Otp | None = None


@router.get("/users", response_model=list[User])
def list_users(verbs: Commands) -> Response:
    """List the users that one may see."""
    return json_response(verbs.list_users())


@router.post("/users", response_model=User, status_code=201)
def add_user(verbs: Commands, body: UserBody) -> Response:
    """Add a user."""
    done = verbs.add_user(body.name, body.role, projects=tuple(body.projects), password=body.password)
    return json_response(done, 201)


@router.post("/users/invite", response_model=Invited, status_code=201)
def invite(verbs: Commands, body: InviteBody) -> Response:
    """Make a code with which somebody registers, once."""
    return json_response(verbs.invite(body.role, projects=tuple(body.projects), lasts_s=body.lasts_s), 201)


@router.get("/invitations", response_model=list[Invitation])
def list_invitations(verbs: Commands) -> Response:
    """List the invitations that somebody may still use; their codes are told to nobody any more."""
    return json_response(verbs.list_invitations())


@router.delete("/invitations/{invitation}", response_model=Invitation)
def withdraw_invitation(verbs: Commands, invitation: Annotated[str, Path(max_length=20)]) -> Response:
    """Have nobody register by an invitation any more."""
    return json_response(verbs.withdraw_invitation(invitation))


@router.put("/users/{name}/role", response_model=User)
def set_role(request: Request, verbs: Commands, name: UserName, body: RoleBody) -> Response:
    """Change what a user may do."""
    return changed(request, verbs.set_role(name, body.role))


@router.post("/users/{name}/disable", response_model=User)
def disable(request: Request, verbs: Commands, name: UserName) -> Response:
    """Let a user in no more."""
    return changed(request, verbs.disable_user(name))


@router.post("/users/{name}/enable", response_model=User)
def enable(request: Request, verbs: Commands, name: UserName) -> Response:
    """Let a disabled user in again."""
    return changed(request, verbs.enable_user(name))


@router.put("/users/{name}/password", response_model=User)
def set_password(request: Request, verbs: Commands, name: UserName, body: PasswordBody) -> Response:
    """Give a user a new password; whoever is logged in with the old one is so no longer."""
    return changed(request, verbs.set_password(name, body.password, old=body.old))


@router.get("/projects", response_model=list[Project])
def list_projects(verbs: Commands) -> Response:
    """List the projects that one may see."""
    return json_response(verbs.list_projects())


@router.post("/projects", response_model=Project, status_code=201)
def add_project(verbs: Commands, body: ProjectBody) -> Response:
    """Add a project."""
    return json_response(verbs.add_project(body.name, tuple(body.pools)), 201)


@router.put("/projects/{name}/pools", response_model=Project)
def set_pools(verbs: Commands, name: ProjectName, body: PoolsBody) -> Response:
    """Say which pools its artists submit to."""
    return json_response(verbs.set_pools(name, tuple(body.pools)))


@router.post("/projects/{name}/join", response_model=Project)
def join(request: Request, verbs: Commands, name: ProjectName, body: MembersBody) -> Response:
    """Make users members."""
    return changed(request, verbs.join_project(name, body.users))


@router.post("/projects/{name}/leave", response_model=Project)
def leave(request: Request, verbs: Commands, name: ProjectName, body: MembersBody) -> Response:
    """They are members no longer."""
    return changed(request, verbs.leave_project(name, body.users))


@router.get("/tokens", response_model=list[Token])
def list_tokens(verbs: Commands, user: Annotated[str | None, Query(max_length=64)] = None) -> Response:
    """List the tokens that one may see."""
    return json_response(verbs.list_tokens(user))


@router.post("/tokens", response_model=NewToken, status_code=201)
def create_token(verbs: Commands, body: TokenBody) -> Response:
    """Make a token; it is told this once."""
    done = verbs.create_token(body.name, user=body.user, scope=body.scope, lasts_s=body.lasts_s)
    return json_response(done, 201)


@router.post("/tokens/by-password", response_model=NewToken, status_code=201)
def by_password(request: Request, body: PasswordTokenBody) -> Response:
    """Make a token for whoever knows the password of a user."""
    parts: ServerParts = request.app.state.parts
    address, proof = address_of(request), Proof(code=body.otp)
    done = parts.authentication.create_token(body.user, body.password, body.name, address=address, proof=proof)
    return json_response(done, 201)


@router.delete("/tokens/mine", response_model=Token)
def revoke_mine(
    request: Request,
    verbs: Commands,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(bearer_token)] = None,
) -> Response:
    """Make the token that is shown good for nothing."""
    if bearer is None:
        raise NotFound("No token is shown.")
    parts: ServerParts = request.app.state.parts
    return changed(request, verbs.revoke_token(parts.authentication.token(bearer.credentials).id))


@router.delete("/tokens/{token}", response_model=Token)
def revoke_token(request: Request, verbs: Commands, token: Annotated[str, Path(max_length=20)]) -> Response:
    """Make a token good for nothing, from now on."""
    return changed(request, verbs.revoke_token(token))


def changed(request: Request, result: object) -> Response:
    """Who may do what has changed: nobody is let in for what he was a moment ago."""
    doors: Authenticator = request.app.state.doors
    doors.forget()
    return json_response(result)
