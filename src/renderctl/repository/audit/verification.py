"""Verification of the audit log: every entry unchanged, in its place, none missing, to the end that was seen."""

import hmac
import logging
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Row, func, select

from renderctl.core.audit import AuditVerdict, ChainHead
from renderctl.repository.audit.log import BEFORE_CHAIN
from renderctl.repository.database import Part
from renderctl.repository.database.audit_chain import NOTHING, chain_mac, key_id, signature
from renderctl.repository.schema.audit import audit_heads, audits

_PAGE = 1000
logger = logging.getLogger(__name__)
#: Rows before the chain that a problem names.
_NAMED = 10


class AuditChain(Part):
    """The chain of the audit log."""

    def verify(self, seen: ChainHead | None = None) -> AuditVerdict:
        """Verify every entry. `seen`: an end of the chain that somebody has kept, beside this machine's own."""
        self._database.chain_audit(once=True)
        ends = self._database.read(lambda connection: connection.execute(select(audit_heads)).first())
        known_heads = [
            head
            for head in (seen, self._database.signing_keys.head.load() if self._database.signing_keys.head else None)
            if head
        ]
        walk = _ChainWalk(AuditVerdict(), self._keys(ends), {head.seq: head.mac for head in known_heads})
        for row in self._rows():
            walk.step(row)
        walk.end(ChainHead(ends.seq, ends.mac) if ends else None)
        self._database.read(lambda connection: walk.outside(connection))
        return walk.verdict

    def head(self) -> ChainHead | None:
        """Return the end of the chain, and store it on this machine; None: the log is empty."""
        self._database.chain_audit()
        row = self._database.read(lambda connection: connection.execute(select(audit_heads)).first())
        head = ChainHead(row.seq, row.mac) if row else None
        if self._database.signing_keys.head:
            seen_here = self._database.signing_keys.head.load()
            if seen_here and seen_here.seq > (head.seq if head else 0):
                text = "the audit log ends before entry %d, which was seen here: `renderctl audit verify`"
                logger.warning(text, seen_here.seq)
            elif head:
                self._database.signing_keys.head.save(head)
        return head

    def _keys(self, ends: Row[Any] | None) -> "_Keys":
        own = self._database.signing_keys.key()
        own_keys = [*([own] if own else []), *self._database.signing_keys.former()]
        return _Keys(own_keys, bytes.fromhex(ends.key) if ends else None)

    def _rows(self) -> Iterator[Row[Any]]:
        after = 0
        while True:
            query = select(audits).where(audits.c.seq > after).order_by(audits.c.seq).limit(_PAGE)
            page = self._database.read(lambda connection, query=query: connection.execute(query).all())  # type: ignore[misc]
            if not page:
                return
            yield from page
            after = page[-1].seq


class _Keys:
    """The farm's own keys, the latest first; then that of the database, which may have signed only the beginning."""

    def __init__(self, own: Sequence[bytes], in_database: bytes | None) -> None:
        keys = [*own, *([in_database] if in_database else [])]
        self.known = {key_id(key): key for key in keys}
        self.ages = {name: age for age, name in reversed(list(enumerate(map(key_id, keys))))}  #: 0: the latest
        self.weak = key_id(in_database) if in_database and in_database not in own else None


class _ChainWalk:
    """A walk along the chain, entry by entry."""

    def __init__(self, verdict: AuditVerdict, keys: _Keys, known_macs: dict[int, str]) -> None:
        self.verdict = verdict
        self._keys = keys.known
        self._ages, self._weak = keys.ages, keys.weak
        self._kept = known_macs
        self._age = max(keys.ages.values(), default=0)  # of the latest key so far: none that is older comes after it
        self._signatures: set[str | None] = set()
        self._last = ChainHead(0, NOTHING)
        self._beginning: Row[Any] | None = None  # the first entry, if others before it are deleted or gone
        self._vouched: dict[int, str] = {}  # the ends of what was deleted, as entries record them

    def step(self, row: Row[Any]) -> None:
        self.verdict.entries += 1
        previous: str | None = self._last.mac
        if row.seq != self._last.seq + 1:
            previous = self._missing(row)
        self._require_key(row)
        key = self._keys.get(row.key_id or "")
        if key is not None and not _is_signed(key, row):
            self.verdict.add_problem(row.seq, "it was changed")
        elif key is not None and previous is not None and not _follows(key, previous, row):
            self.verdict.add_problem(row.seq, "it is not in its place")
        if row.signature in self._signatures:
            self.verdict.add_problem(row.seq, "it is a copy of another one")
        self._signatures.add(row.signature)
        if self._kept.get(row.seq, row.mac) != row.mac:
            self.verdict.add_problem(row.seq, "it is another one than was seen here")
        if row.action == "audit.forget" and "through" in row.details:
            self._vouched[int(row.details["through"])] = str(row.details["mac"])
        self._last = ChainHead(row.seq, row.mac)

    def end(self, head: ChainHead | None) -> None:
        """Check that the last entry is where the database, and whoever has kept an end, say that it is."""
        self.verdict.head = self._last if self.verdict.entries else None
        if self._beginning is not None:
            self._join(self._beginning)
        known = max([*self._kept, head.seq if head else 0])
        if known > self._last.seq:
            self.verdict.add_problem(self._last.seq or None, f"what follows it, up to entry {known}, is gone")
        elif head is not None and head != self._last:
            self.verdict.add_problem(self._last.seq, "the chain does not end where the database says that it does")

    def outside(self, connection: Connection) -> None:
        """Check what has no place in the chain: from before there was one, waiting for one, or foreign."""
        old = select(func.count()).select_from(audits).where(BEFORE_CHAIN)
        self.verdict.before = connection.scalar(old) or 0
        if self.verdict.before:
            rows = connection.scalars(select(audits.c.id).where(BEFORE_CHAIN).order_by(audits.c.id).limit(_NAMED)).all()
            which = ", ".join(map(str, rows)) + (", …" if self.verdict.before > _NAMED else "")
            self.verdict.add_problem(
                None, f"{self.verdict.before} entries (rows {which}) stand before the chain, unsigned"
            )
        for row in connection.execute(select(audits).where(audits.c.seq.is_(None)).order_by(audits.c.id)):
            key = self._keys.get(row.key_id or "")
            if key is not None and _is_signed(key, row):
                self.verdict.waiting += 1
            else:
                self.verdict.add_problem(None, f"an entry (row {row.id}) is not signed, or with a key that is not here")

    def _missing(self, row: Row[Any]) -> str | None:
        """Note that entries before this one are missing: deleted properly, which is seen at the end, or gone."""
        if self.verdict.entries == 1:
            self._beginning = row
        else:
            self.verdict.add_problem(row.seq, f"the entries {self._last.seq + 1} to {row.seq - 1} before it are gone")
        return None

    def _join(self, row: Row[Any]) -> None:
        """Check that the first entry follows what was deleted."""
        key, previous = self._keys.get(row.key_id or ""), self._vouched.get(row.seq - 1)
        if previous is None:
            self.verdict.add_problem(row.seq, f"the entries before it, {row.seq - 1} in all, are gone")
        elif key is not None and not _follows(key, previous, row):
            self.verdict.add_problem(row.seq, "it does not follow what was forgotten")

    def _require_key(self, row: Row[Any]) -> None:
        age = self._ages.get(row.key_id or "")
        if age is None:
            self.verdict.add_problem(row.seq, "it is signed with a key that is not here")
            return
        weak = row.key_id == self._weak
        self.verdict.weak += weak
        if age > self._age:
            what = "not signed with the farm's key (audit.key)" if weak else "signed with a key that had been replaced"
            self.verdict.add_problem(row.seq, f"it is {what}")
        self._age = min(age, self._age)


def _is_signed(key: bytes, row: Row[Any]) -> bool:
    return hmac.compare_digest(signature(key, row._asdict()), row.signature or "")


def _follows(key: bytes, previous: str, row: Row[Any]) -> bool:
    return hmac.compare_digest(chain_mac(key, previous, row.seq, row.signature or ""), row.mac or "")
