"""The audit log as a chain: each entry is signed together with the signature of the one before it.

Entries are added last in their transaction: the chain's end is locked for as long as a commit takes, and nobody waits
for another lock while he holds it. docs/decisions/0030-audit-chain.md says why it is not done afterwards, in batches.
"""

import fcntl
import hashlib
import hmac
import json
import logging
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from renderctl.errors import DatabaseUnavailable
from renderctl.repository.tables import audit_heads, audits

logger = logging.getLogger(__name__)

#: What an entry says, all of it signed.
SIGNED = ("seq", "at", "actor", "kind", "via", "address", "action", "subject", "outcome", "details", "deed", "key_id")
#: What comes before the first entry.
NOTHING = "0" * 64


@dataclass(frozen=True)
class Head:
    """Where the chain ends."""

    seq: int
    mac: str


class HeadFile:
    """The end of the chain as this machine has seen it last, outside the database."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def keep(self, head: Head) -> None:
        """Remember it, unless a later one is known. A folder that can not be written to costs nobody his deed."""
        with suppress(OSError, ValueError), self._path.open("a+", encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o600)
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            known = _parsed(file.read())
            if known is None or known.seq < head.seq:
                file.truncate(0)
                file.write(f"{head.seq} {head.mac}\n")

    def kept(self) -> Head | None:
        with suppress(OSError, ValueError):
            return _parsed(self._path.read_text(encoding="utf-8"))
        return None


def _parsed(text: str) -> Head | None:
    words = text.split()
    return Head(int(words[0]), words[1]) if len(words) == 2 else None


@dataclass(frozen=True)
class Seal:
    """With what this process signs, and where it remembers the end of the chain."""

    key: Callable[[], bytes | None] = lambda: None  #: None: with the key that lies in the database
    head: HeadFile | None = None


@cache
def key_of_file(path: Path) -> bytes:
    """The key in a file that only its owner may read; made when it is first asked for. Raises DatabaseUnavailable."""
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        if not path.exists():
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
                file.write(secrets.token_hex(32))
            with suppress(FileExistsError):  # another process was quicker
                os.link(fresh, path)
            fresh.unlink()
        return path.read_text(encoding="utf-8").strip().encode()
    except OSError as error:
        hint = "It belongs beside the database: what is written without it can not be verified."
        raise DatabaseUnavailable(
            f"The audit log's key {path} can not be used: {error.strerror}.", hint=hint
        ) from error


def key_id(key: bytes) -> str:
    """Tells keys apart, and tells nothing of them."""
    return hashlib.sha256(b"renderctl audit key " + key).hexdigest()[:16]


def signature(key: bytes, previous: str, entry: Mapping[str, Any]) -> str:
    """The HMAC-SHA256 of an entry and of the signature before it."""
    values = [_plain(entry[name]) for name in SIGNED]
    text = json.dumps([previous, *values], sort_keys=True, ensure_ascii=True)
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def _plain(value: Any) -> Any:
    return value.strftime("%Y-%m-%dT%H:%M:%S.%f") if isinstance(value, datetime) else value


def add(connection: Connection, entries: Sequence[dict[str, Any]], seal: Seal) -> Head:
    """Add entries at the end of the chain, which is locked from here to the commit."""
    row = connection.execute(select(audit_heads).with_for_update()).first()
    if row is None:
        first = {"id": 1, "seq": 0, "mac": NOTHING, "key": secrets.token_hex(32)}
        connection.execute(audit_heads.insert(), first)
        row = connection.execute(select(audit_heads)).one()
    key, seq, mac = seal.key() or bytes.fromhex(row.key), row.seq, row.mac
    signed = []
    for entry in entries:
        seq += 1
        details = json.loads(json.dumps(entry["details"]))
        full = {**entry, "details": details, "seq": seq, "key_id": key_id(key)}
        mac = signature(key, mac, full)
        signed.append({**full, "mac": mac})
    connection.execute(audits.insert(), signed)
    connection.execute(audit_heads.update().values(seq=seq, mac=mac))
    return Head(seq, mac)
