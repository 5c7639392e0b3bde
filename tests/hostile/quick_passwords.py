"""Passwords that are hashed with little effort, for tests that make many attempts."""

import argon2
import pytest


@pytest.fixture
def quick_argon2(monkeypatch: pytest.MonkeyPatch) -> None:
    quick, real = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1), argon2.PasswordHasher.hash
    monkeypatch.setattr(argon2.PasswordHasher, "hash", lambda _self, password: real(quick, password))
    monkeypatch.setattr(argon2.PasswordHasher, "check_needs_rehash", lambda _self, _kept: False)
