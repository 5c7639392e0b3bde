"""Passwords that somebody shows: whoever guesses at one is slowed down, wherever he does."""

from renderctl.errors import TooManyGuesses
from renderctl.farm import Farm
from renderctl.farm.people.passwords import hashed, is_outdated, is_right
from renderctl.farm.people.secrets import digest

#: Wrong ones, within an hour, that cost no waiting: of a user from one address, of a user, from an address.
_FREE_OF_BOTH, _FREE_OF_USER, _FREE_FROM_ADDRESS = 5, 20, 50


def is_his_password(farm: Farm, name: str, password: str, *, address: str | None) -> bool:
    """Whether this is the user's password. Raises TooManyGuesses, whatever it is, after too many that were not.

    What was attempted with a wrong one is for the caller to tell the audit log.
    """
    both, user, place = _whose(name, address)
    guessed = {both: _FREE_OF_BOTH, user: _FREE_OF_USER, place: _FREE_FROM_ADDRESS}
    if (wait_s := farm.repository.count_guess(guessed)) > 0:
        raise TooManyGuesses(hint=f"Try again in {wait_s:.0f} seconds.", retry_after_s=wait_s)
    kept = farm.repository.password_of(name)
    if not is_right(password, kept) or kept is None:
        return False
    farm.repository.forgive_guesses([both, user], but_one=[place])
    if is_outdated(kept):
        farm.repository.rehash_password(name, kept, hashed(password))
    return True


def _whose(name: str, address: str | None) -> tuple[str, str, str]:
    """What guesses are counted by: names of one length, whatever somebody has typed."""
    return (
        f"both {digest(f'{name} {address}')}",
        f"user {digest(name)}",
        f"from {digest(str(address))}",
    )
