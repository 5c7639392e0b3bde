"""Small copies of outputs, to look at: made when they are first asked for, and kept for a while."""

import threading
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from renderctl.errors import BadImage, Busy
from renderctl.farm import Farm
from renderctl.farm.outputs import OpenOutput
from renderctl.farm.scratch import scratch_of
from renderctl.private_files import ensure_private_folder

#: Longer sides in pixels that there are.
SIDES = (160, 480, 1600)
#: So many are kept on disk; so many are made at a time; so many wait for that; so many are known to be no images.
_MOST_KEPT, _AT_A_TIME, _MOST_WAITING, _MOST_BAD = 20_000, 2, 64, 1000


class Thumbnails:
    """Each is made once, however many ask for it, and few at a time. Who waits for one holds no thread."""

    def __init__(self, farm: Farm) -> None:
        self._farm = farm
        self._folder = farm.settings.data_dir / "thumbnails"
        self._pool = ThreadPoolExecutor(_AT_A_TIME, "thumbnails")
        self._making: dict[Path, Future[Path]] = {}
        self._bad: OrderedDict[Path, BadImage] = OrderedDict()
        self._lock = threading.RLock()  # what is done at once calls back at once

    def request(self, wanted: OpenOutput, side: int) -> Path | Future[Path]:
        """A WebP of an output, with sides of `side` pixels at most (one of SIDES, or the next larger one).

        A future where it has yet to be made; it raises BadImage where the output is no image, NotStored,
        StoreUnavailable, DecoderUnavailable. Raises BadImage where that is known, Busy when too many are waited for.
        """
        side = next((larger for larger in SIDES if larger >= side), SIDES[-1])
        place = self._folder / wanted.output.digest[:2] / f"{wanted.output.digest[2:]}-{side}.webp"
        if place.exists():
            return place
        with self._lock:
            if place in self._bad:
                raise self._bad[place]
            making = self._making.get(place)
            if making is None:
                if len(self._making) >= _MOST_WAITING:
                    raise Busy("Too many images are waited for.", retry_after_s=5.0)
                making = self._pool.submit(self._make, wanted, place, side)
                self._making[place] = making
                making.add_done_callback(lambda done: self._made(place, done))
        return making

    def close(self) -> None:
        """Make no more; what is being made is finished."""
        self._pool.shutdown(cancel_futures=True)

    def _make(self, wanted: OpenOutput, place: Path, side: int) -> Path:
        if place.exists():  # another process of this machine has made it meanwhile
            return place
        with scratch_of(self._farm, "thumbnail") as scratch:
            whole, written = scratch / f"whole{Path(wanted.output.name).suffix}", scratch / "small"
            written.mkdir()
            self._farm.store.get(wanted.output.digest, whole)
            self._farm.decoder.write_small(whole, written / "small.webp", side)
            ensure_private_folder(self._folder)
            ensure_private_folder(place.parent)
            (written / "small.webp").replace(place)
        _shrink(place.parent)
        return place

    def _made(self, place: Path, done: "Future[Path]") -> None:
        error = None if done.cancelled() else done.exception()
        with self._lock:
            self._making.pop(place, None)
            if isinstance(error, BadImage):
                self._bad[place] = error
                if len(self._bad) > _MOST_BAD:
                    self._bad.popitem(last=False)


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
