"""Users, invitations, projects, tokens and log-ins from browsers, over HTTP."""

from collections.abc import Sequence

from renderctl.client.connection import ServerConnection
from renderctl.client.http import quoted
from renderctl.client.responses import typed
from renderctl.core.actors import Actor, Role, Scope
from renderctl.core.people import Invitation, Project, Token, TotpStatus, User, WebSession
from renderctl.farm.people.tokens import TOKEN_S, NewToken
from renderctl.farm.people.totp import RecoveryCodes, TotpEnrollment
from renderctl.farm.people.users import INVITATION_S, Invited


def whoami(server: ServerConnection) -> Actor:
    """Who one is to the farm."""
    return typed(Actor, server.api.get("/whoami"))


def list_users(server: ServerConnection) -> list[User]:
    """The users that one may see."""
    return typed(list[User], server.api.get("/users"))


def add_user(
    server: ServerConnection, name: str, role: Role, *, projects: Sequence[str] = (), password: str | None = None
) -> User:
    """Add a user."""
    body = {"name": name, "role": role, "projects": list(projects), "password": password}
    return typed(User, server.api.post("/users", body))


def invite(
    server: ServerConnection, role: Role, *, projects: Sequence[str] = (), lasts_s: float = INVITATION_S
) -> Invited:
    """A code with which somebody registers."""
    body = {"role": role, "projects": list(projects), "lasts_s": lasts_s}
    return typed(Invited, server.api.post("/users/invite", body))


def list_invitations(server: ServerConnection) -> list[Invitation]:
    """The invitations that somebody may still use."""
    return typed(list[Invitation], server.api.get("/invitations"))


def withdraw_invitation(server: ServerConnection, invitation_id: str) -> Invitation:
    """Have nobody register by an invitation any more."""
    return typed(Invitation, server.api.delete(f"/invitations/{quoted(invitation_id)}"))


def set_role(server: ServerConnection, name: str, role: Role) -> User:
    """Make a user something else."""
    return typed(User, server.api.put(f"/users/{quoted(name)}/role", {"role": role}))


def disable_user(server: ServerConnection, name: str) -> User:
    """Let a user in no more."""
    return typed(User, server.api.post(f"/users/{quoted(name)}/disable"))


def enable_user(server: ServerConnection, name: str) -> User:
    """Let a disabled user in again."""
    return typed(User, server.api.post(f"/users/{quoted(name)}/enable"))


def set_password(server: ServerConnection, name: str, password: str, *, old: str | None = None) -> User:
    """Give a user a new password."""
    return typed(User, server.api.put(f"/users/{quoted(name)}/password", {"password": password, "old": old}))


def totp_status(server: ServerConnection, name: str) -> TotpStatus:
    """Whether a user has a second factor."""
    return typed(TotpStatus, server.api.get(f"/users/{quoted(name)}/totp"))


def enroll_totp(server: ServerConnection, name: str, *, password: str | None = None) -> TotpEnrollment:
    """A new secret for one's own second factor."""
    return typed(TotpEnrollment, server.api.post(f"/users/{quoted(name)}/totp", {"password": password}))


def confirm_totp(server: ServerConnection, name: str, code: str) -> RecoveryCodes:
    """Show a code of the new secret."""
    return typed(RecoveryCodes, server.api.post(f"/users/{quoted(name)}/totp/confirm", {"otp": code}))


def disable_totp(server: ServerConnection, name: str, *, password: str | None = None) -> TotpStatus:
    """Have the password alone let a user in."""
    return typed(TotpStatus, server.api.post(f"/users/{quoted(name)}/totp/disable", {"password": password}))


def list_projects(server: ServerConnection) -> list[Project]:
    """The projects that one may see."""
    return typed(list[Project], server.api.get("/projects"))


def add_project(server: ServerConnection, name: str, pools: Sequence[str] = ()) -> Project:
    """Add a project."""
    return typed(Project, server.api.post("/projects", {"name": name, "pools": list(pools)}))


def set_pools(server: ServerConnection, name: str, pools: Sequence[str]) -> Project:
    """Its artists submit to these alone."""
    return typed(Project, server.api.put(f"/projects/{quoted(name)}/pools", {"pools": list(pools)}))


def join_project(server: ServerConnection, name: str, users: Sequence[str]) -> Project:
    """Make users members."""
    return _members(server, name, "join", users)


def leave_project(server: ServerConnection, name: str, users: Sequence[str]) -> Project:
    """They are members no longer."""
    return _members(server, name, "leave", users)


def list_tokens(server: ServerConnection, user: str | None = None) -> list[Token]:
    """The tokens that one may see."""
    return typed(list[Token], server.api.get("/tokens", user=user))


def create_token(
    server: ServerConnection,
    name: str,
    *,
    user: str | None = None,
    scope: Scope = Scope.WORK,
    lasts_s: float | None = TOKEN_S,
) -> NewToken:
    """A token, told this once."""
    body = {"name": name, "user": user, "scope": scope, "lasts_s": lasts_s}
    return typed(NewToken, server.api.post("/tokens", body))


def revoke_token(server: ServerConnection, token_id: str) -> Token:
    """Make a token good for nothing."""
    return typed(Token, server.api.delete(f"/tokens/{quoted(token_id)}"))


def list_sessions(server: ServerConnection, user: str | None = None) -> list[WebSession]:
    """The log-ins from browsers that one may see."""
    return typed(list[WebSession], server.api.get("/sessions", user=user))


def end_session(server: ServerConnection, session_id: str) -> WebSession:
    """Let nobody in by this log-in any more."""
    return typed(WebSession, server.api.delete(f"/sessions/{quoted(session_id)}"))


def end_sessions(server: ServerConnection, user: str | None = None) -> list[WebSession]:
    """End all of one's own, or of another user."""
    return typed(list[WebSession], server.api.delete("/sessions", user=user))


def _members(server: ServerConnection, name: str, verb: str, users: Sequence[str]) -> Project:
    return typed(Project, server.api.post(f"/projects/{quoted(name)}/{verb}", {"users": list(users)}))
