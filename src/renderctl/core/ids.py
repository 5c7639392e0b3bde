"""Ids: short, sortable by creation time, safe in file names and on the command line."""

import os
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u


def new_id() -> str:
    """Return 13 characters of base 32: 45 bits of milliseconds since 1970, then 20 random bits."""
    return _encode(time.time_ns() // 1_000_000, 9) + _encode(_random(20), 4)


def new_token() -> str:
    """Return 20 characters, for attempts and incarnations: like `new_id`, with 55 random bits."""
    return _encode(time.time_ns() // 1_000_000, 9) + _encode(_random(55), 11)


def _random(bits: int) -> int:
    return int.from_bytes(os.urandom(8), "big") >> (64 - bits)


def _encode(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 32)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))
