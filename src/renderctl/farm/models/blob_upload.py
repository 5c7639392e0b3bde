"""Files go into the store: only those that the farm does not have, many at a time."""

import random
from collections.abc import Mapping, Set
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from renderctl.core.errors import DigestMismatch, FileChanged
from renderctl.core.jobs import Input
from renderctl.farm import Farm, OnProgress, Progress, ignore_progress
from renderctl.farm.models.disk_reserve import require_space

#: Blobs that the database says are there, of which the store is asked whether it still has them.
_SAMPLE = 32


def upload_missing(
    farm: Farm, files: Mapping[Path, Input], on_advance: OnProgress = ignore_progress, *, verify: bool = False
) -> list[Input]:
    """Have the files in the store, leased for a day; those that had to be sent.

    One question to the database tells which it may lack. With `verify` the store is asked for all others, too.
    Raises FileChanged, StoreUnavailable, StoreFull, DatabaseUnavailable.
    """
    sources = {file.digest: (source, file) for source, file in files.items()}
    unknown = farm.repository.blobs.unknown(sources.keys())
    damaged = farm.repository.damaged_blobs.among(sources.keys())
    unknown |= missing_from_store(farm, sources.keys() - unknown, verify) | damaged
    missing = [sources[digest] for digest in sorted(unknown)]
    sent = []
    require_space(farm, sum(file.size for _, file in missing))
    with ThreadPoolExecutor(farm.store.parallel) as pool:
        puts = pool.map(lambda item: _put(farm, *item, damaged=item[1].digest in damaged), missing)
        for done, ((_, each), new) in enumerate(zip(missing, puts, strict=True), 1):
            if new:
                sent.append(each)
            on_advance(Progress("Uploading", done, len(missing)))
    return sent


def missing_from_store(farm: Farm, known: Set[str], verify: bool) -> set[str]:
    """What the store has lost: all of it is looked for when something of a sample is missing, or when told to."""
    sample = known if verify or len(known) <= _SAMPLE else random.sample(sorted(known), _SAMPLE)
    gone = farm.store.missing(set(sample))
    return farm.store.missing(set(known)) if gone and len(sample) < len(known) else gone


def put_blob(farm: Farm, source: Path, digest: str) -> bool:
    """Put a file in the store; in place of what is there, when that is known to be damaged. False: nothing was sent.

    Raises DigestMismatch, StoreUnavailable, DatabaseUnavailable.
    """
    return replace_if_damaged(farm, source, digest, damaged=bool(farm.repository.damaged_blobs.among([digest])))


def replace_if_damaged(farm: Farm, source: Path, digest: str, *, damaged: bool) -> bool:
    """As `put_blob`, for who knows whether it is damaged."""
    sent = farm.store.put(source, digest, replace=damaged)
    if damaged:
        farm.repository.damaged_blobs.mark_repaired([digest])
    return sent


def _put(farm: Farm, source: Path, promised: Input, *, damaged: bool) -> bool:
    try:
        return replace_if_damaged(farm, source, promised.digest, damaged=damaged)
    except DigestMismatch as error:
        hint = "Try again when nothing writes to it any more."
        raise FileChanged(f"{source} changed while it was uploaded: {error.message}", hint=hint) from error
