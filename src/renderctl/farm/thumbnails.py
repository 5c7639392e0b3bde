"""Small copies of outputs, to look at: made when they are first asked for, and kept for a while."""

import threading
from pathlib import Path

from renderctl.blender.images import write_small
from renderctl.farm import Farm
from renderctl.farm.outputs import OpenOutput
from renderctl.farm.scratch import scratch_of
from renderctl.private_files import ensure_private_folder

#: Longer sides in pixels that there are.
SIDES = (160, 480, 1600)
#: So many are kept; and so many are made at a time, since each holds a whole image.
_MOST_KEPT = 20_000
_making = threading.BoundedSemaphore(2)


def thumbnail(farm: Farm, found: OpenOutput, side: int) -> Path:
    """A WebP of an output, with sides of `side` pixels at most (one of SIDES, or the next larger one).

    Raises BadImage where the output is no image, NotStored, StoreUnavailable.
    """
    wanted = next((each for each in SIDES if each >= side), SIDES[-1])
    folder = farm.settings.data_dir / "thumbnails"
    place = folder / found.output.digest[:2] / f"{found.output.digest[2:]}-{wanted}.webp"
    if not place.exists():
        with _making:
            _make(farm, found, place, wanted)
        _shrink(place.parent)
    return place


def _make(farm: Farm, found: OpenOutput, place: Path, side: int) -> None:
    with scratch_of(farm, "thumbnail") as scratch:
        whole = scratch / f"whole{Path(found.output.name).suffix}"
        farm.store.get(found.output.digest, whole)
        small = scratch / "small.webp"
        write_small(whole, small, side)
        ensure_private_folder(place.parent.parent)
        ensure_private_folder(place.parent)
        small.replace(place)


def _shrink(folder: Path) -> None:
    """Give up the older half where one folder of the 256 holds more than its share."""
    kept = list(folder.iterdir())
    if len(kept) > _MOST_KEPT // 256:
        for each in sorted(kept, key=_age)[: len(kept) // 2]:
            each.unlink(missing_ok=True)


def _age(file: Path) -> float:
    """Its time; of one that another request has given up, none."""
    try:
        return file.stat().st_mtime
    except FileNotFoundError:
        return 0.0
