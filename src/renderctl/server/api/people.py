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
from renderctl.server.authentication import Authenticator, Commands, bearer_token, client_address
from renderctl.server.request_models import Name
from renderctl.server.responses import json_response
from renderctl.wiring.server_parts import ServerParts

router = new_router("people")
UserName = Annotated[str, Path(description="A user's name.", max_length=64)]
ProjectName = Annotated[str, Path(description="A project's name.", max_length=64)]
Password = Annotated[str, Field(max_length=1024)]
Otp = Annotated[str, Field(description="A code of the second factor, or a recovery code.", max_length=64)]
_MAX_LIFETIME_S = 1e10


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
    old: Password | None = Field(None, description="The current password, to change one's own.")


class InviteBody(_Body):
    role: Role = Role.ARTIST
    projects: list[Name] = []
    lasts_s: float = Field(7 * 86_400.0, gt=0, le=_MAX_LIFETIME_S)


class ProjectBody(_Body):
    name: Name
    pools: list[Name] = []


class PoolsBody(_Body):
    pools: list[Name] = Field(description="Pools that its artists may submit to; none: all.")


class MembersBody(_Body):
    users: list[Name]


class TokenBody(_Body):
    name: Name = Field(description="What the token is for.")
    user: Name | None = Field(None, description="Its user; null: one's own.")
    scope: Scope = Scope.WORK
    lasts_s: float | None = Field(90 * 86_400.0, gt=0, le=_MAX_LIFETIME_S, description="Seconds; null: for ever.")


class PasswordTokenBody(_Body):
    user: Name
    password: Password
    name: Name
    otp: Otp | None = None


@router.get("/users", response_model=list[User])
def list_users(verbs: Commands) -> Response:
    """List the users you may see."""
    return json_response(verbs.list_users())


@router.post("/users", response_model=User, status_code=201)
def add_user(verbs: Commands, body: UserBody) -> Response:
    """Add a user."""
    created = verbs.add_user(body.name, body.role, projects=tuple(body.projects), password=body.password)
    return json_response(created, 201)


@router.post("/users/invite", response_model=Invited, status_code=201)
def invite(verbs: Commands, body: InviteBody) -> Response:
    """Create an invitation; its code registers one user."""
    return json_response(verbs.invite(body.role, projects=tuple(body.projects), lasts_s=body.lasts_s), 201)


@router.get("/invitations", response_model=list[Invitation])
def list_invitations(verbs: Commands) -> Response:
    """List valid invitations, without their codes."""
    return json_response(verbs.list_invitations())


@router.delete("/invitations/{invitation}", response_model=Invitation)
def withdraw_invitation(verbs: Commands, invitation: Annotated[str, Path(max_length=20)]) -> Response:
    """Withdraw an invitation."""
    return json_response(verbs.withdraw_invitation(invitation))


@router.put("/users/{name}/role", response_model=User)
def set_role(request: Request, verbs: Commands, name: UserName, body: RoleBody) -> Response:
    """Change the role of a user."""
    return after_permission_change(request, verbs.set_role(name, body.role))


@router.post("/users/{name}/disable", response_model=User)
def disable(request: Request, verbs: Commands, name: UserName) -> Response:
    """Disable a user."""
    return after_permission_change(request, verbs.disable_user(name))


@router.post("/users/{name}/enable", response_model=User)
def enable(request: Request, verbs: Commands, name: UserName) -> Response:
    """Enable a disabled user."""
    return after_permission_change(request, verbs.enable_user(name))


@router.put("/users/{name}/password", response_model=User)
def set_password(request: Request, verbs: Commands, name: UserName, body: PasswordBody) -> Response:
    """Change the password of a user, and end their sessions."""
    return after_permission_change(request, verbs.set_password(name, body.password, old=body.old))


@router.get("/projects", response_model=list[Project])
def list_projects(verbs: Commands) -> Response:
    """List the projects you may see."""
    return json_response(verbs.list_projects())


@router.post("/projects", response_model=Project, status_code=201)
def add_project(verbs: Commands, body: ProjectBody) -> Response:
    """Add a project."""
    return json_response(verbs.add_project(body.name, tuple(body.pools)), 201)


@router.put("/projects/{name}/pools", response_model=Project)
def set_pools(verbs: Commands, name: ProjectName, body: PoolsBody) -> Response:
    """Set the pools that artists of a project may submit to."""
    return json_response(verbs.set_pools(name, tuple(body.pools)))


@router.post("/projects/{name}/join", response_model=Project)
def join(request: Request, verbs: Commands, name: ProjectName, body: MembersBody) -> Response:
    """Add members to a project."""
    return after_permission_change(request, verbs.join_project(name, body.users))


@router.post("/projects/{name}/leave", response_model=Project)
def leave(request: Request, verbs: Commands, name: ProjectName, body: MembersBody) -> Response:
    """Remove members from a project."""
    return after_permission_change(request, verbs.leave_project(name, body.users))


@router.get("/tokens", response_model=list[Token])
def list_tokens(verbs: Commands, user: Annotated[str | None, Query(max_length=64)] = None) -> Response:
    """List the tokens you may see."""
    return json_response(verbs.list_tokens(user))


@router.post("/tokens", response_model=NewToken, status_code=201)
def create_token(verbs: Commands, body: TokenBody) -> Response:
    """Create a token; its secret is shown only now."""
    created = verbs.create_token(body.name, user=body.user, scope=body.scope, lasts_s=body.lasts_s)
    return json_response(created, 201)


@router.post("/tokens/by-password", response_model=NewToken, status_code=201)
def create_token_by_password(request: Request, body: PasswordTokenBody) -> Response:
    """Create a token with the password of its user."""
    parts: ServerParts = request.app.state.parts
    address, proof = client_address(request), Proof(code=body.otp)
    created = parts.authentication.create_token(body.user, body.password, body.name, address=address, proof=proof)
    return json_response(created, 201)


@router.delete("/tokens/mine", response_model=Token)
def revoke_own_token(
    request: Request,
    verbs: Commands,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(bearer_token)] = None,
) -> Response:
    """Revoke the token of this request."""
    if bearer is None:
        raise NotFound("The request has no token.")
    parts: ServerParts = request.app.state.parts
    return after_permission_change(request, verbs.revoke_token(parts.authentication.token(bearer.credentials).id))


@router.delete("/tokens/{token}", response_model=Token)
def revoke_token(request: Request, verbs: Commands, token: Annotated[str, Path(max_length=20)]) -> Response:
    """Revoke a token."""
    return after_permission_change(request, verbs.revoke_token(token))


def after_permission_change(request: Request, result: object) -> Response:
    """The response after a change of permissions: from now on every user is authenticated anew."""
    authenticator: Authenticator = request.app.state.authenticator
    authenticator.clear_cache()
    return json_response(result)
