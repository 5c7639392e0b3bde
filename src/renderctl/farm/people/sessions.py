"""Log-ins with a password: slowed down for whoever guesses, and told to the audit log."""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from renderctl.core.actors import Actor, Scope, Via
from renderctl.core.errors import CodeNeeded, LoginRefused
from renderctl.core.people import WebSession
from renderctl.core.permissions import Subject, Verdict, verdict
from renderctl.farm import Farm
from renderctl.farm.authorization import require
from renderctl.farm.people.login_throttle import Origin, asked_for_code, attempt_password, known_from, succeeded
from renderctl.farm.people.secrets import new_secret, token_digest
from renderctl.farm.people.tokens import NewToken, create_token, limited_without_totp
from renderctl.farm.people.totp import check_second_factor
from renderctl.farm.people.users import register

if TYPE_CHECKING:
    from renderctl.core.people import ShownCredentials

#: Seconds after which somebody has to log in again.
SESSION_S = 7 * 86_400.0


@dataclass(frozen=True)
class LoggedIn:
    """Somebody, and what their browser holds."""

    actor: Actor
    secret: str = field(repr=False)
    csrf: str = field(repr=False)  #: what a form has to bring along, besides the cookie
    device: str | None = field(default=None, repr=False)  #: what tells the browser at the next log-in
    lasts_s: float = SESSION_S  #: seconds until they have to log in again


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What somebody shows besides a name and a password."""

    code: str | None = field(default=None, repr=False)  #: of the second factor
    device: str | None = field(default=None, repr=False)  #: what `LoggedIn.device` was
    keeps_device: bool = False  #: whether it is a browser, which keeps that


def log_in(farm: Farm, name: str, password: str, *, address: str | None, proof: Proof = Proof()) -> LoggedIn:
    """Open a session by a password, and a code where the user has a second factor.

    A password without its code counts as a wrong one. Raises LoginRefused, CodeNeeded, TooManyGuesses, Busy.
    """
    from renderctl.core.people import ShownCredentials

    attempt = attempt_password(farm, name, password, Origin(address, proof.device))
    whoever = Actor(name[:64], via=Via.SESSION, address=address)
    if not attempt.is_right:
        farm.repository.login_attempts.record_refusal(
            whoever, "session.open", whoever.name, "the name or the password is wrong"
        )
        raise LoginRefused
    try:
        code = check_second_factor(farm, name, proof.code, whoever=whoever)
    except CodeNeeded:
        asked_for_code(farm, attempt)
        raise
    device = succeeded(farm, attempt, device=proof.keeps_device)
    return _opened(farm, name, address, device, ShownCredentials(attempt.kept, code))


def sign_up(farm: Farm, code: str, name: str, password: str, *, address: str | None) -> LoggedIn:
    """Become a user by an invitation's code, and open a session.

    Raises InvitationRefused, InvalidInput, Conflict, TooManyGuesses, Busy.
    """
    new = register(farm, code, name, password, address=address).name
    return _opened(farm, new, address, known_from(farm, new, Origin(address), device=True))


def _opened(
    farm: Farm, name: str, address: str | None, device: str | None, shown: "ShownCredentials | None" = None
) -> LoggedIn:
    secret, csrf = new_secret(), new_secret()
    actor = farm.repository.sessions.open(
        name, token_digest(secret), csrf, lasts_s=SESSION_S, address=address, shown=shown
    )
    return LoggedIn(limited_without_totp(farm, actor), secret, csrf, device)


def token_for_login(farm: Farm, logged_in: LoggedIn, label: str) -> NewToken:
    """A token in place of the session, so that a program need not know the password."""
    try:
        return create_token(farm, logged_in.actor, label, scope=Scope.ALL)
    finally:
        log_out(farm, logged_in.actor, logged_in.secret)


def list_sessions(farm: Farm, actor: Actor, user: str | None = None) -> list[WebSession]:
    """The log-ins from browsers of one user, or of all that the actor may see, the newest first."""
    sessions = [
        replace(session, present=session.id == actor.session)
        for session in farm.repository.sessions.all(user=user, idle_s=idle_limit_s(farm))
    ]
    return [session for session in sessions if verdict(actor, "session.see", _of(session)) is Verdict.ALLOWED]


def end_session(farm: Farm, actor: Actor, session_id: str) -> WebSession:
    """Let nobody in by this log-in any more. Raises NotFound, NotAllowed."""
    session = farm.repository.sessions.get(session_id)
    require(farm, actor, "session.end", _of(session))
    farm.repository.sessions.end(session.user, session.id, actor=actor)
    return replace(session, present=session.id == actor.session)


def end_sessions(farm: Farm, actor: Actor, user: str | None = None) -> list[WebSession]:
    """End all log-ins of the actor, or of another user, but for the one that asks. Raises NotFound, NotAllowed."""
    whose = user or actor.name
    require(farm, actor, "session.end", Subject("user", whose, owner=whose))
    return farm.repository.sessions.end(whose, actor=actor)


def log_out(farm: Farm, actor: Actor, secret: str) -> None:
    """End a session."""
    farm.repository.sessions.end_by_digest(token_digest(secret), actor=actor)


def idle_limit_s(farm: Farm) -> float:
    """Seconds without use after which a session ends."""
    return farm.settings.serve.session_idle_hours * 3600


def _of(session: WebSession) -> Subject:
    return Subject("session", session.id, owner=session.user)
