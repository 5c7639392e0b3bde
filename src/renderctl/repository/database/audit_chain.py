"""The audit log as a chain: an entry is signed in the transaction of its action, and appended to the chain right after.

After an action its process appends all entries that wait, unless another process does at this moment: so nobody ever
waits for the end of the chain, and one transaction appends entries of many actions. SQLite has one writer at a time:
there it is done in the action's own transaction. See docs/decisions/0010-audit-log-chain.md.
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
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select

from renderctl.core.audit import ChainHead
from renderctl.repository.schema.audit import audit_heads, audits

logger = logging.getLogger(__name__)

#: The signed columns of an entry.
SIGNED = ("at", "actor", "kind", "via", "address", "action", "subject", "outcome", "details", "deed", "key_id")
#: Entries that are appended in one transaction.
BATCH = 100
#: The link before the first entry.
NOTHING = "0" * 64


class HeadFile:
    """The end of the chain as this machine has seen it last, in a file outside the database."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def save(self, head: ChainHead) -> None:
        """Store an end, unless a later one is stored. A folder that cannot be written to fails no action."""
        with suppress(OSError, ValueError), self._path.open("a+", encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o600)
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            known = _parsed(file.read())
            if known is None or known.seq < head.seq:
                file.truncate(0)
                file.write(f"{head.seq} {head.mac}\n")

    def load(self) -> ChainHead | None:
        """Return the stored end; None: there is none."""
        with suppress(OSError, ValueError):
            return _parsed(self._path.read_text(encoding="utf-8"))
        return None


def _parsed(text: str) -> ChainHead | None:
    words = text.split()
    return ChainHead(int(words[0]), words[1]) if len(words) == 2 else None


@dataclass(frozen=True)
class SigningKeys:
    """The keys that this process signs with, and where it stores the end of the chain."""

    key: Callable[[], bytes | None] = lambda: None  #: None: the key in the database is used
    head: HeadFile | None = None
    former: Callable[[], Sequence[bytes]] = tuple  #: the replaced keys, the latest first
    replace: Callable[[], None] | None = None  #: makes a new key; None: the key is in the config or in the database


def key_id(key: bytes) -> str:
    """Return a name of the key that reveals nothing of it."""
    return hashlib.sha256(b"renderctl audit key " + key).hexdigest()[:16]


def signature(key: bytes, entry: Mapping[str, Any]) -> str:
    """Return the HMAC-SHA256 of the contents of an entry."""
    return _mac(key, [_plain(entry[name]) for name in SIGNED])


def chain_mac(key: bytes, previous: str, seq: int, signed: str) -> str:
    """Return the HMAC-SHA256 of an entry's place in the chain: its number, its signature, and the link before it."""
    return _mac(key, [previous, seq, signed])


def _mac(key: bytes, values: Sequence[Any]) -> str:
    text = json.dumps(values, sort_keys=True, ensure_ascii=True)
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def _plain(value: Any) -> Any:
    return value.strftime("%Y-%m-%dT%H:%M:%S.%f") if isinstance(value, datetime) else value


def signed(connection: Connection, entry: dict[str, Any], seal: SigningKeys) -> dict[str, Any]:
    """Return the entry with its signature, without which it is never appended to the chain."""
    key = seal.key() or database_key(connection)
    full = {**entry, "details": json.loads(json.dumps(entry["details"])), "key_id": key_id(key)}
    return {**full, "signature": signature(key, full)}


def database_key(connection: Connection) -> bytes:
    """Return the key that is stored in the database; it is made when first asked for."""
    key = connection.scalar(select(audit_heads.c.key))
    if key is None:
        key = secrets.token_hex(32)
        connection.execute(audit_heads.insert(), {"id": 1, "seq": 0, "mac": NOTHING, "key": key})
    return bytes.fromhex(key)


def extend(connection: Connection, seal: SigningKeys) -> tuple[ChainHead, bool] | None:
    """Append the next entries to the chain; return its end, and whether there may be more of them.

    None: another process does so at this moment. Entries that are not signed with the current key are left alone.
    """
    free = select(audit_heads).with_for_update(skip_locked=True)
    end = connection.execute(free).first()
    if end is None:
        database_key(connection)  # which inserts the row, unless it is there and locked
        if (end := connection.execute(free).first()) is None:
            return None
    key, seq, mac = seal.key() or bytes.fromhex(end.key), end.seq, end.mac
    waiting = select(audits).where(audits.c.seq.is_(None), audits.c.key_id == key_id(key)).order_by(audits.c.id)
    rows = connection.execute(waiting.limit(BATCH)).all()
    for row in rows:
        if hmac.compare_digest(signature(key, row._asdict()), row.signature or ""):
            seq += 1
            mac = chain_mac(key, mac, seq, row.signature)
            connection.execute(audits.update().where(audits.c.id == row.id).values(seq=seq, mac=mac))
    if seq != end.seq:
        connection.execute(audit_heads.update().values(seq=seq, mac=mac))
    return ChainHead(seq, mac), len(rows) == BATCH and seq != end.seq
