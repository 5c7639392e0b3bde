"""Log-ins with a password: slowed down for whoever guesses, and told to the audit log."""

from dataclasses import dataclass, field

from renderctl.actors import Actor, Scope, Via
from renderctl.errors import LoginRefused
from renderctl.farm import Farm
from renderctl.farm.people.guessing import is_his_password
from renderctl.farm.people.secrets import digest, new_secret
from renderctl.farm.people.tokens import NewToken, create_token

#: Seconds after which somebody has to log in again.
SESSION_S = 7 * 86_400.0


@dataclass(frozen=True)
class LoggedIn:
    """Somebody, and what his browser holds."""

    actor: Actor
    secret: str = field(repr=False)
    csrf: str = field(repr=False)  #: what a form has to bring along, besides the cookie


def log_in(farm: Farm, name: str, password: str, *, address: str | None) -> LoggedIn:
    """Open a session by a password. Raises LoginRefused, TooManyGuesses."""
    if not is_his_password(farm, name, password, address=address):
        whoever = Actor(name[:64], via=Via.SESSION, address=address)
        farm.repository.note_guess(whoever, "session.open", whoever.name, "the name or the password is wrong")
        raise LoginRefused
    secret, csrf = new_secret(), new_secret()
    actor = farm.repository.open_session(name, digest(secret), csrf, lasts_s=SESSION_S, address=address)
    return LoggedIn(actor, secret, csrf)


def token_by_password(farm: Farm, name: str, password: str, label: str, *, address: str | None) -> NewToken:
    """A token for whoever knows the password, so that a program need not. Raises LoginRefused, TooManyGuesses."""
    logged_in = log_in(farm, name, password, address=address)
    try:
        return create_token(farm, label, scope=Scope.ALL, actor=logged_in.actor)
    finally:
        log_out(farm, logged_in.secret, actor=logged_in.actor)


def session_actor(farm: Farm, secret: str, *, address: str | None) -> tuple[Actor, str]:
    """Whose session this is, and what his forms have to bring along. Raises TokenRefused."""
    return farm.repository.session_actor(digest(secret), address)


def log_out(farm: Farm, secret: str, *, actor: Actor) -> None:
    """End a session."""
    farm.repository.end_session(digest(secret), actor=actor)
