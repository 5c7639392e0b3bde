"""The audit log: who did what to what, when, from where, and with what outcome."""

from dataclasses import asdict
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, or_, select

from renderctl.core.actors import Actor
from renderctl.core.audit import AuditEntry, AuditFilter, RotatedKey
from renderctl.core.errors import Conflict
from renderctl.core.ids import new_token
from renderctl.core.permissions import FORMER_NAMES, Subject
from renderctl.repository.database import Part, add_audit_entry, add_audit_outcome, db_now, write
from renderctl.repository.database.audit_chain import SIGNED, key_id, signed
from renderctl.repository.schema.audit import audits

#: Entries that are deleted in one transaction.
_BATCH = 1000
_FORGET = "audit.forget"
#: Entries outside the chain: from before there was one, and what somebody has inserted since.
BEFORE_CHAIN = audits.c.seq <= 0


def _conditions(entry_filter: AuditFilter) -> list[ColumnElement[Any]]:
    """Return the conditions of a filter."""
    chosen = [
        None if entry_filter.by is None else audits.c.actor == entry_filter.by,
        None if entry_filter.action is None else _is_action(entry_filter.action),
        None if entry_filter.subject is None else audits.c.subject.startswith(entry_filter.subject, autoescape=True),
        None if entry_filter.since is None else audits.c.at >= entry_filter.since,
        None if entry_filter.until is None else audits.c.at < entry_filter.until,
        audits.c.outcome.in_(("refused", "hidden")) if entry_filter.refused else None,
        None if entry_filter.after is None else audits.c.seq > entry_filter.after,
        None if entry_filter.before is None else audits.c.seq < entry_filter.before,
    ]
    return [each for each in chosen if each is not None]


def _is_action(prefix: str) -> ColumnElement[bool]:
    """Whether the action begins with the prefix, by its name or a former one."""
    matches = audits.c.action.startswith(prefix, autoescape=True)
    former = [name for name, current in FORMER_NAMES.items() if current.startswith(prefix)]
    return or_(matches, audits.c.action.in_(former)) if former else matches


class AuditLog(Part):
    """The entries of the audit log."""

    @write
    def add_refusal(self, connection: Connection, actor: Actor, action: str, subject: Subject, outcome: str) -> None:
        """Add an entry of an action that was refused."""
        details = {"kind": subject.kind, "owner": subject.owner, "projects": sorted(subject.projects)}
        add_audit_outcome(connection, actor, action, subject.id, outcome=outcome, details=details)

    def newest(
        self, *, subject: str | None = None, limit: int = 100, entry_filter: AuditFilter | None = None
    ) -> list[AuditEntry]:
        """Return entries, the newest first; with `before` in the filter: in the order of the chain."""
        entry_filter = entry_filter or AuditFilter()
        order = audits.c.id if entry_filter.before is None else audits.c.seq
        query = select(audits).where(*_conditions(entry_filter)).order_by(order.desc()).limit(limit)
        if subject is not None:
            query = query.where(audits.c.subject == subject)
        rows = self._database.read(lambda connection: connection.execute(query).all())
        return [_entry(row) for row in rows]

    def after(self, entry_filter: AuditFilter, *, limit: int = 1000) -> list[AuditEntry]:
        """Return the entries that follow `entry_filter.after`, the oldest first."""
        query = select(audits).where(*_conditions(entry_filter)).order_by(audits.c.seq).limit(limit)
        return [_entry(row) for row in self._database.read(lambda connection: connection.execute(query).all())]

    @write
    def delete_older_than(self, connection: Connection, days: float, *, actor: Actor) -> int:
        """Delete some entries from the beginning of the log that are so many days old; return how many.

        An entry records this with the signature of the last deleted one: the chain can be verified from there.
        """
        limit = db_now(connection) - timedelta(days=days)
        old = audits.c.at < limit
        young = connection.scalar(select(func.min(audits.c.seq)).where(~old))
        beginning = audits.c.seq < young if young is not None else audits.c.seq.is_not(None)
        query = select(audits.c.id, audits.c.seq, audits.c.mac, audits.c.action).where(old, beginning)
        rows = connection.execute(query.order_by(audits.c.seq).limit(_BATCH)).all()
        if all(row.action == _FORGET for row in rows):
            return 0
        connection.execute(audits.delete().where(audits.c.id.in_([row.id for row in rows])))
        last = rows[-1]
        through = {"through": last.seq, "mac": last.mac} if last.seq > 0 else {}
        add_audit_entry(connection, actor, _FORGET, "audit", entries=len(rows), **through)
        return len(rows)

    def adopt_unsigned(self, *, actor: Actor) -> int:
        """Sign the entries from before there was a chain, and append them to it; return how many.

        From then on they are verified like all others. The caller vouches for them.
        """

        def adopting(connection: Connection) -> int:
            rows = connection.execute(select(audits).where(BEFORE_CHAIN).order_by(audits.c.id).limit(_BATCH)).all()
            for row in rows:
                entry = {name: getattr(row, name) for name in SIGNED if name != "key_id"}
                new = signed(
                    connection, entry | {"deed": row.deed or new_token()}, self._database.signing_keys
                )  # tells copies apart
                values = {"seq": None} | {name: new[name] for name in ("deed", "key_id", "signature")}
                connection.execute(audits.update().where(audits.c.id == row.id).values(values))
            if rows:
                add_audit_entry(connection, actor, "audit.adopt", "audit", entries=len(rows))
            return len(rows)

        adopted = 0
        while count := self._database.write(adopting):
            adopted += count
        self._database.chain_audit()
        return adopted

    def rotate_key(self, *, actor: Actor) -> RotatedKey:
        """Sign with a new key from now on. Raises Conflict if the key is in no file of this machine."""
        replace = self._database.signing_keys.replace
        if replace is None:
            hint = "Set a new audit.key in the config of every machine, and put the one of now into audit.former."
            raise Conflict("The key of the audit log is in no file of this machine's.", hint=hint)

        def writing(connection: Connection) -> RotatedKey:
            former = self._key_id()
            replace()
            rotated = RotatedKey(self._key_id(), former)
            add_audit_entry(connection, actor, "audit.rotate", "audit", **asdict(rotated))
            return rotated

        return self._database.durable_write(writing, recover=lambda _, row: RotatedKey(**row.details))

    def _key_id(self) -> str:
        return key_id(self._database.signing_keys.key() or b"")


def _entry(row: Row[Any]) -> AuditEntry:
    return AuditEntry(
        seq=row.seq,
        at=row.at,
        actor=row.actor,
        kind=row.kind,
        via=row.via,
        address=row.address,
        action=row.action,
        subject=row.subject,
        outcome=row.outcome,
        details=row.details,
    )
