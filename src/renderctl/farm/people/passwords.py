"""Passwords: argon2id, as RFC 9106 recommends it; a few at a time, since each takes 64 MiB and a core."""

import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from renderctl.core.errors import Busy
from renderctl.farm.people.addresses import sender

if TYPE_CHECKING:
    from argon2 import PasswordHasher


class Hashing:
    """The right to hash passwords, for as long as the gate is passed."""

    def hashed(self, password: str) -> str:
        """What is kept of a password: its argon2id hash with salt and parameters."""
        return _hasher().hash(password)

    def is_right(self, password: str, kept: str | None) -> bool:
        """Whether it is the password of that hash. Without a hash it takes as long, and is not."""
        from argon2.exceptions import InvalidHashError, VerificationError

        try:
            return _hasher().verify(kept or _nobodys(), password) and kept is not None
        except (VerificationError, InvalidHashError):
            return False

    def is_outdated(self, kept: str) -> bool:
        """Whether it was made with less effort than is usual now."""
        return _hasher().check_needs_rehash(kept)


class HashGate:
    """Lets few callers hash at a time, and few wait for it: a flood of passwords leaves the server its threads."""

    def __init__(self, *, at_once: int, waiting: int, waiting_of_one: int, wait_s: float) -> None:
        """`waiting`: callers that wait at most; `waiting_of_one`: of them from one network; `wait_s`: for how long."""
        self.at_once = at_once
        self._free = threading.BoundedSemaphore(at_once)
        self._waiting: Counter[str] = Counter()
        self._most, self._most_of_one, self._wait_s = waiting, waiting_of_one, wait_s
        self._lock = threading.Lock()

    @property
    def waiting(self) -> int:
        """How many wait now."""
        with self._lock:
            return self._waiting.total()

    @contextmanager
    def passed(self, address: str | None) -> Iterator[Hashing]:
        """For as long as the context somebody from this address may hash. Raises Busy."""
        if not self._free.acquire(blocking=False):
            self._wait(sender(address))
        try:
            yield Hashing()
        finally:
            self._free.release()

    def _wait(self, caller: str) -> None:
        with self._lock:
            if self._waiting.total() >= self._most or self._waiting[caller] >= self._most_of_one:
                raise _busy()
            self._waiting[caller] += 1
        try:
            if not self._free.acquire(timeout=self._wait_s):
                raise _busy()
        finally:
            with self._lock:
                self._waiting[caller] -= 1
                self._waiting += Counter()  # keeps those above 0


def _gate() -> HashGate:
    """Hashing takes a quarter of the cores and 128 MiB at most, and threads of the server are left to others."""
    return HashGate(at_once=max(1, min(2, (os.cpu_count() or 1) // 4)), waiting=8, waiting_of_one=4, wait_s=2.0)


#: The gates of this process; whatever hashes passes one. Whoever was let in before, or shows an invitation, has one of
#: their own: a flood of strangers holds up strangers.
KNOWN_GATE, STRANGER_GATE = _gate(), _gate()


def _busy() -> Busy:
    return Busy("Too many passwords are being checked.", hint="Try again in a moment.")


@cache
def _hasher() -> "PasswordHasher":
    from argon2 import PasswordHasher  # loads cffi: only who logs in pays for it

    return PasswordHasher()


@cache
def _nobodys() -> str:
    return _hasher().hash("the password of nobody")
