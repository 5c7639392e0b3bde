"""The audit log: its entries, filters of them, and what a verification finds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

#: Problems that a verdict names one by one.
_MOST_PROBLEMS = 100


@dataclass(frozen=True)
class AuditEntry:
    """An entry of the audit log."""

    seq: int | None  #: its place in the chain; None: it gets one in a moment; 0 or below: from before there was one
    at: datetime
    actor: str
    kind: str  #: user, worker or farm
    via: str | None  #: local, token or session
    address: str | None
    action: str
    subject: str
    outcome: str | None  #: done, refused, or hidden: refused as if it did not exist
    details: Mapping[str, Any]


@dataclass(frozen=True)
class AuditFilter:
    """Which entries to return; None: no condition."""

    by: str | None = None
    action: str | None = None  #: or the beginning of it: `job`
    subject: str | None = None  #: or the beginning of it
    since: datetime | None = None
    until: datetime | None = None
    refused: bool = False
    after: int | None = None  #: those that follow this one in the chain
    before: int | None = None  #: those that it follows


@dataclass(frozen=True)
class RotatedKey:
    """The names of a new key and of the one it replaced. They reveal nothing of the keys."""

    key: str  #: with which is signed from now on
    former: str


@dataclass(frozen=True)
class ChainHead:
    """The end of the chain."""

    seq: int
    mac: str


@dataclass(frozen=True)
class AuditProblem:
    """Something that is not as it was written."""

    seq: int | None  #: the entry
    what: str


@dataclass
class AuditVerdict:
    """The result of a verification."""

    entries: int = 0  #: in the chain
    waiting: int = 0  #: signed, and about to get their places
    before: int = 0  #: that claim to be from before there was a chain: each of them is a problem, until it is adopted
    head: ChainHead | None = None  #: the end; whoever keeps it elsewhere can compare
    weak: int = 0  #: those signed with the key that lies in the database: whoever could write there could forge them
    problems: list[AuditProblem] = field(default_factory=list)

    def add_problem(self, seq: int | None, what: str) -> None:
        """Add a problem, unless there are too many."""
        if len(self.problems) < _MOST_PROBLEMS:
            self.problems.append(AuditProblem(seq, what))
