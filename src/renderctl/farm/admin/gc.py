"""`gc`: what nothing points to any more leaves the store; what rows point to and the store lacks is told."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from renderctl.core.actors import Actor
from renderctl.core.blobs import BlobPointer
from renderctl.core.errors import Conflict
from renderctl.farm import Farm, OnProgress, Progress, ignore_progress
from renderctl.farm.authorization import require
from renderctl.stores import StoredBlob

#: Blobs that are removed in one transaction: so long, at most, does who asks for one of them wait.
_BATCH = 50
#: Digests and attempts that the database is asked for at a time.
_PAGE = 1000


@dataclass
class Collected:
    """What was collected, or with `dry_run` would have been."""

    dry_run: bool
    removed: int = 0  #: blobs
    removed_bytes: int = 0
    logs: int = 0  #: of attempts that there are no more
    logs_bytes: int = 0
    kept: int = 0  #: blobs that stay
    young: int = 0  #: of these, those that nothing points to yet: within the grace, or somebody has asked for them
    missing: list[BlobPointer] = field(default_factory=list)  #: rows that point to blobs which the store lacks


def collect(
    farm: Farm,
    actor: Actor,
    *,
    grace_hours: float | None = None,
    dry_run: bool = False,
    on_advance: OnProgress = ignore_progress,
) -> Collected:
    """Remove from the store what nothing points to, nobody leases, and was put longer ago than the grace.

    Safe beside uploads, workers and another collection. Raises Conflict for a store that is not this database's own,
    StoreUnavailable, DatabaseUnavailable.
    """
    require(farm, actor, "farm.collect")
    grace_s = 3600 * (farm.settings.retention.grace_hours if grace_hours is None else grace_hours)
    _require_own_store(farm)
    collected = Collected(dry_run)
    if not dry_run:
        farm.repository.gc.tidy_leases()
    try:
        _collect_blobs(farm, collected, grace_s, on_advance)
        _collect_logs(farm, collected, grace_s)
    finally:
        if not dry_run and (collected.removed or collected.logs):
            totals = {"blobs": collected.removed, "bytes": collected.removed_bytes, "logs": collected.logs}
            farm.repository.gc.record_collection(actor=actor, **totals)
    return collected


def _require_own_store(farm: Farm) -> None:
    if not farm.repository.gc.has_known_blobs() and next(farm.store.blobs(), None) is not None:
        raise Conflict(
            "The store holds files, and this database has never known any: they are another farm's.",
            hint="Give every farm a store of its own, and look at database.url and store in the config.",
        )


def _collect_blobs(farm: Farm, collected: Collected, grace_s: float, on_advance: OnProgress) -> None:
    idle: list[StoredBlob] = []
    lost: list[str] = []
    for number, (digest, blob, pointed_at) in enumerate(_beside(farm.store.blobs(), _digests(farm)), 1):
        if blob is None:
            lost.append(digest)
        else:
            collected.kept += 1
            collected.young += not pointed_at
            if not pointed_at and blob.age_s >= grace_s:
                idle.append(blob)
        if len(idle) == _BATCH:
            _remove(farm, collected, idle)
            idle = []
        if len(lost) == _PAGE:
            _tell_missing(farm, collected, lost)
            lost = []
        if number % _PAGE == 0:
            on_advance(Progress("Looking at", number, number, "blobs"))
    _remove(farm, collected, idle)
    _tell_missing(farm, collected, lost)


def _beside(stored: Iterator[StoredBlob], pointed_at: Iterator[str]) -> Iterator[tuple[str, StoredBlob | None, bool]]:
    """The store's blobs and the database's digests, both in order, in one pass: (digest, stored, pointed at)."""
    blob, digest = next(stored, None), next(pointed_at, None)
    while blob is not None or digest is not None:
        if blob is None or (digest is not None and digest < blob.digest):
            assert digest is not None
            yield digest, None, True
            digest = next(pointed_at, None)
        elif digest is None or blob.digest < digest:
            yield blob.digest, blob, False
            blob = next(stored, None)
        else:
            yield digest, blob, True
            blob, digest = next(stored, None), next(pointed_at, None)


def _digests(farm: Farm) -> Iterator[str]:
    """What rows point to, in order, a page at a time."""
    after = ""
    while page := farm.repository.gc.digests(after=after, limit=_PAGE):
        yield from page
        after = page[-1]


def _remove(farm: Farm, collected: Collected, idle: Sequence[StoredBlob]) -> None:
    sizes = {blob.digest: blob.size for blob in idle}
    if collected.dry_run:
        removed = farm.repository.gc.unreferenced(sorted(sizes))
    else:
        removed = farm.repository.gc.collect(sorted(sizes), farm.store.remove, limit_s=farm.store.removal_limit_s)
    collected.removed += len(removed)
    collected.removed_bytes += sum(sizes[digest] for digest in removed)
    collected.kept -= len(removed)
    collected.young -= len(removed)


def _tell_missing(farm: Farm, collected: Collected, lost: Sequence[str]) -> None:
    """Those that are not there after all: while we looked, one may have been put, or its rows removed."""
    gone = farm.store.missing(set(lost))
    collected.missing += farm.repository.gc.pointers(sorted(gone))


def _collect_logs(farm: Farm, collected: Collected, grace_s: float) -> None:
    old = (log for log in farm.store.logs() if log.age_s >= grace_s)
    while page := list(islice(old, _PAGE)):
        sizes = {log.attempt_id: log.size for log in page}
        unknown = farm.repository.gc.unknown_logs(list(sizes))
        if not collected.dry_run:
            farm.store.remove_logs(unknown)
        collected.logs += len(unknown)
        collected.logs_bytes += sum(sizes[attempt_id] for attempt_id in unknown)
