"""`gc --scrub`: blobs are read whole and hashed, a share of them a day; what is damaged is named, and who needs it."""

import hashlib
from dataclasses import dataclass, field

from renderctl.core.actors import Actor
from renderctl.core.blobs import BlobPointer
from renderctl.core.errors import NotStored
from renderctl.farm import Farm, OnProgress, Progress, ignore_progress
from renderctl.farm.authorization import require
from renderctl.farm.node_id import host_name

#: The digests are spread over so many parts, and a day's share is some of them.
_PARTS = 1 << 16


@dataclass
class Scrubbed:
    """What was read, and what of it was not what its digest says."""

    share: str  #: which part of the blobs: `3 of 30`
    read: int = 0  #: blobs
    read_bytes: int = 0
    repaired: int = 0  #: were known to be damaged, and are sound now
    damaged: list[str] = field(default_factory=list)  #: digests
    needed_by: list[BlobPointer] = field(default_factory=list)  #: rows that point to what is damaged


def scrub(
    farm: Farm,
    actor: Actor,
    *,
    days: int | None = None,
    day: int | None = None,
    on_advance: OnProgress = ignore_progress,
) -> Scrubbed:
    """Read the share of a day, so that in so many days every blob is read once; 1: all of them.

    Broken off, it is done again from the beginning of its share: what is damaged is noted as it is found. `day`: which
    share, from 0; None: today's. Raises NotAllowed, StoreUnavailable, DatabaseUnavailable.
    """
    require(farm, actor, "farm.collect")
    days = days or farm.settings.retention.scrub_days
    day = (farm.clock.now().date().toordinal() if day is None else day) % days
    scrubbed = Scrubbed(f"{day + 1} of {days}")
    for blob in farm.store.blobs():
        if int(blob.digest[:4], 16) * days // _PARTS != day:
            continue
        _read(farm, blob.digest, scrubbed)
        on_advance(Progress("Reading", scrubbed.read, scrubbed.read, "blobs"))
    scrubbed.needed_by = farm.repository.gc.pointers(scrubbed.damaged)
    return scrubbed


def _read(farm: Farm, digest: str, scrubbed: Scrubbed) -> None:
    try:
        sound = _is_sound(farm, digest, scrubbed) or _is_sound(farm, digest, scrubbed)  # it may have changed on its way
    except NotStored:  # collected meanwhile
        return
    scrubbed.read += 1
    if not sound:
        scrubbed.damaged.append(digest)
        farm.repository.damaged_blobs.report(digest, host_name())
    elif farm.repository.damaged_blobs.among([digest]):
        scrubbed.repaired += 1
        farm.repository.damaged_blobs.mark_repaired([digest])


def _is_sound(farm: Farm, digest: str, scrubbed: Scrubbed) -> bool:
    hashed = hashlib.sha256()
    for piece in farm.store.read(digest):
        hashed.update(piece)
        scrubbed.read_bytes += len(piece)
    return hashed.hexdigest() == digest
