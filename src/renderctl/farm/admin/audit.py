"""`audit`: who did what to what, when, from where and to what end; and whether the log is whole."""

import threading
from collections.abc import Iterator
from dataclasses import replace

from renderctl.core.actors import Actor
from renderctl.core.audit import AuditEntry, AuditFilter, AuditVerdict, ChainHead, RotatedKey
from renderctl.core.errors import InvalidInput
from renderctl.core.outages import OutageGrace
from renderctl.farm import Farm
from renderctl.farm.authorization import require

_LOOK_EVERY_S = 0.5


def audit(farm: Farm, actor: Actor, wanted: AuditFilter, *, limit: int = 50) -> list[AuditEntry]:
    """The latest entries that are wanted, in the order in which they were written."""
    require(farm, actor, "audit.see")
    return farm.repository.audit.newest(entry_filter=wanted, limit=limit)[::-1]


def follow_audit(farm: Farm, actor: Actor, wanted: AuditFilter, *, stop: threading.Event) -> Iterator[AuditEntry]:
    """The entries that are wanted as they are written, from now on, until `stop` is set."""
    require(farm, actor, "audit.see")
    head = farm.repository.audit_chain.head()
    after, patience = head.seq if head else 0, OutageGrace(farm.clock)
    while True:
        with patience.tolerate():
            for entry in farm.repository.audit.after(replace(wanted, after=after)):
                after = entry.seq or after
                yield entry
        if farm.clock.wait(stop, _LOOK_EVERY_S):
            return


def verify_audit(farm: Farm, actor: Actor, seen: str | None = None) -> AuditVerdict:
    """Look at every entry; `seen`: SEQ:MAC, an end of the log that an earlier verification has told.

    Raises InvalidInput for a `seen` that is none.
    """
    require(farm, actor, "audit.see")
    return farm.repository.audit_chain.verify(_head(seen) if seen is not None else None)


def adopt_audit(farm: Farm, actor: Actor) -> int:
    """Sign the entries from before the log was chained, and give them places in it; how many there were.

    Whoever does so vouches for them: look at them first. Raises NotAllowed.
    """
    require(farm, actor, "audit.adopt")
    return farm.repository.audit.adopt_unsigned(actor=actor)


def rotate_audit_key(farm: Farm, actor: Actor) -> RotatedKey:
    """Sign the log with a new key from now on; the former one is kept, to verify what it has signed.

    Raises NotAllowed, and Conflict where the key stands in the config.
    """
    require(farm, actor, "audit.rotate")
    return farm.repository.audit.rotate_key(actor=actor)


def _head(text: str) -> ChainHead:
    seq, _, mac = text.partition(":")
    if not seq.isdecimal() or len(mac) != 64:
        raise InvalidInput(
            f"{text!r} is no end of an audit log.", hint="It looks like 1204:9f2c… as `audit verify` tells it."
        )
    return ChainHead(int(seq), mac)
