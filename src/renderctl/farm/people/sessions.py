"""Log-ins with a password: slowed down for whoever guesses, and told to the audit log."""

from dataclasses import dataclass, field

from renderctl.actors import Actor, Scope
from renderctl.errors import LoginRefused, TooManyGuesses
from renderctl.farm import Farm
from renderctl.farm.people.passwords import hashed, is_outdated, is_right
from renderctl.farm.people.secrets import digest, new_secret
from renderctl.farm.people.tokens import NewToken, create_token

#: Seconds after which somebody has to log in again.
SESSION_S = 7 * 86_400.0
#: Failed log-ins, within an hour, that cost no waiting: of a user from one address, of a user, from an address.
_FREE_OF_BOTH, _FREE_OF_USER, _FREE_FROM_ADDRESS = 5, 20, 50


@dataclass(frozen=True)
class LoggedIn:
    """Somebody, and what his browser holds."""

    actor: Actor
    secret: str = field(repr=False)
    csrf: str = field(repr=False)  #: what a form has to bring along, besides the cookie


def log_in(farm: Farm, name: str, password: str, *, address: str | None) -> LoggedIn:
    """Open a session by a password. Raises LoginRefused, TooManyGuesses."""
    if not is_his_password(farm, name, password, address=address):
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


def is_his_password(farm: Farm, name: str, password: str, *, address: str | None) -> bool:
    """Whether this is the user's password. Raises TooManyGuesses, whatever it is, after too many that were not."""
    both, user, place = _whose(name, address)
    guessed = {both: _FREE_OF_BOTH, user: _FREE_OF_USER, place: _FREE_FROM_ADDRESS}
    if (wait_s := farm.repository.count_guess(guessed)) > 0:
        raise TooManyGuesses(hint=f"Try again in {wait_s:.0f} seconds.")
    kept = farm.repository.password_of(name)
    if not is_right(password, kept) or kept is None:
        farm.repository.note_login_refused(name, address, "the name or the password is wrong")
        return False
    farm.repository.forgive_guesses([both, user], but_one=[place])
    if is_outdated(kept):
        farm.repository.rehash_password(name, kept, hashed(password))
    return True


def session_actor(farm: Farm, secret: str, *, address: str | None) -> tuple[Actor, str]:
    """Whose session this is, and what his forms have to bring along. Raises TokenRefused."""
    return farm.repository.session_actor(digest(secret), address)


def log_out(farm: Farm, secret: str, *, actor: Actor) -> None:
    """End a session."""
    farm.repository.end_session(digest(secret), actor=actor)


def _whose(name: str, address: str | None) -> tuple[str, str, str]:
    """What guesses are counted by: names of one length, whatever somebody has typed."""
    return (
        f"both {digest(f'{name} {address}')}",
        f"user {digest(name)}",
        f"from {digest(str(address))}",
    )
