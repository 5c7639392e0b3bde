"""Attempts to get in, counted: whoever guesses is slowed down, and whoever has been let in before is not.

See docs/decisions/0023-login-throttling.md.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from renderctl.core.errors import TooManyGuesses
from renderctl.farm import Farm
from renderctl.farm.people.addresses import sender
from renderctl.farm.people.passwords import KNOWN_GATE, STRANGER_GATE
from renderctl.farm.people.secrets import new_secret, token_digest

#: Wrong attempts, within an hour, that cost no waiting: at a user from one network, at a user from a browser that they
#: have logged in with; and of strangers at a user, and from one network.
_FREE_OF_PAIR, _FREE_OF_DEVICE, _FREE_OF_USER, _FREE_OF_SENDER = 5, 10, 20, 50

#: How the names of counts begin that strangers share.
_SHARED = ("user ", "from ")


@dataclass(frozen=True)
class Origin:
    """Where an attempt comes from."""

    address: str | None
    device: str | None = field(default=None, repr=False)  #: what the browser's cookie of an earlier log-in says


@dataclass(frozen=True)
class LoginAttempt:
    """One attempt at a user's password, which counts as a wrong one until it is told to have succeeded."""

    name: str
    origin: Origin
    counted: Mapping[str, int]  #: as what it counts, and how many wrong ones are free
    is_right: bool = False  #: whether the password is
    kept: str | None = field(default=None, repr=False)  #: the hash that it was held against


def attempt_password(farm: Farm, name: str, password: str, origin: Origin) -> LoginAttempt:
    """Whether this is the user's password. Raises Busy, and TooManyGuesses after too many that were not.

    What was attempted with a wrong one is for the caller to tell the audit log.
    """
    counted = _counters(farm, name, origin)
    gate = STRANGER_GATE if any(whose.startswith(_SHARED) for whose in counted) else KNOWN_GATE
    with gate.passed(origin.address) as hashing:
        count(farm, counted)
        password_hash = farm.repository.users.password_hash(name)
        is_right = hashing.is_right(password, password_hash)
        if is_right and password_hash is not None and hashing.is_outdated(password_hash):
            former, password_hash = password_hash, hashing.hashed(password)
            farm.repository.users.rehash_password(name, former, password_hash)
    return LoginAttempt(name, origin, counted, is_right, password_hash)


def succeeded(farm: Farm, attempt: LoginAttempt, *, device: bool = False) -> str | None:
    """They were let in: this attempt, and those that only they could make, are forgiven; and see `known_from`."""
    forget(farm, attempt.counted)
    return known_from(farm, attempt.name, attempt.origin, device=device)


def asked_for_code(farm: Farm, attempt: LoginAttempt) -> None:
    """They are asked for a code: the attempt stays counted, and the next one, which brings the code, need not wait."""
    farm.repository.login_attempts.end_wait([whose for whose in attempt.counted if not whose.startswith(_SHARED)])


def known_from(farm: Farm, name: str, origin: Origin, *, device: bool = False) -> str | None:
    """Remember from where somebody was let in. `device`: a browser, too; what its cookie holds from now on."""
    secret = None
    if device:
        is_ours = origin.device is not None and farm.repository.login_attempts.is_known_device(_device(origin.device))
        secret = origin.device if is_ours else new_secret()
    farm.repository.login_attempts.remember_origins(name, [_address(origin), *([_device(secret)] if secret else [])])
    return secret


def count(farm: Farm, counted: Mapping[str, int]) -> None:
    """Count a wrong attempt. Raises TooManyGuesses."""
    if (wait_s := farm.repository.login_attempts.record(dict(counted))) > 0:
        raise TooManyGuesses(hint=f"Try again in {math.ceil(wait_s)} s.", retry_after_s=wait_s)


def forget(farm: Farm, counted: Mapping[str, int]) -> None:
    """The attempt that was counted was none: what others may have tried as well stays counted."""
    shared = [whose for whose in counted if whose.startswith(_SHARED)]
    farm.repository.login_attempts.clear([whose for whose in counted if whose not in shared], forgive_last=shared)


def of_sender(address: str | None, what: str = "from") -> str:
    """As what attempts from one network count."""
    return f"{what} {token_digest(sender(address))}"


def _counters(farm: Farm, name: str, origin: Origin) -> dict[str, int]:
    """As what an attempt counts: names of one length, whatever somebody has typed.

    Where the user was let in before nobody else can have them wait: neither strangers who try their name, nor their
    neighbours in a network. Whoever took their cookie, or is in their network, waits for their own attempts.
    """
    device = None if origin.device is None else _device(origin.device)
    known = farm.repository.login_attempts.known_origins(name, [_address(origin), *([device] if device else [])])
    if device in known:
        return {f"device {token_digest(f'{name} {device}')}": _FREE_OF_DEVICE}
    pair = {f"pair {token_digest(f'{name} {sender(origin.address)}')}": _FREE_OF_PAIR}
    if known:
        return pair
    return pair | {f"user {token_digest(name)}": _FREE_OF_USER, of_sender(origin.address): _FREE_OF_SENDER}


def _device(secret: str) -> str:
    return f"device {token_digest(secret)}"


def _address(origin: Origin) -> str:
    return of_sender(origin.address, "address")
