"""Passwords that are hashed with little effort: argon2's default takes 64 MiB and a core, for a tenth of a second."""

from collections.abc import Iterator

import argon2
import pytest

QUICK = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
_HASH, _NEEDS_REHASH = argon2.PasswordHasher.hash, argon2.PasswordHasher.check_needs_rehash


@pytest.fixture(autouse=True, scope="session")
def quick_argon2() -> Iterator[None]:
    """Every hash of this process is a real one, of the least effort. Only `full_argon2` takes the product's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argon2.PasswordHasher, "hash", lambda _self, password: _HASH(QUICK, password))
        patch.setattr(argon2.PasswordHasher, "check_needs_rehash", lambda _self, kept: _NEEDS_REHASH(QUICK, kept))
        yield


@pytest.fixture
def full_argon2(monkeypatch: pytest.MonkeyPatch) -> None:
    """In this test hashes take the effort that they take in the product. For tests that are `slow`."""
    monkeypatch.setattr(argon2.PasswordHasher, "hash", _HASH)
    monkeypatch.setattr(argon2.PasswordHasher, "check_needs_rehash", _NEEDS_REHASH)
