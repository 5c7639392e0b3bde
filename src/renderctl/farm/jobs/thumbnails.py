"""Small copies of outputs, to look at: made when they are first asked for, and kept for a while."""

import threading
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from renderctl.core.errors import BadImage, Busy
from renderctl.core.private_files import ensure_private_folder
from renderctl.farm import Farm
from renderctl.farm.jobs.outputs import OpenOutput
from renderctl.farm.scratch import scratch_of

#: Longer sides in pixels that there are.
SIDES = (160, 480, 1600)
#: So many are kept on disk; so many are made at a time; so many are known to be no images.
_MOST_KEPT, _AT_A_TIME, _MOST_BAD = 20_000, 2, 1000
#: Seconds for which what is no image is not looked at again: it may have been the machine that took too long.
_BAD_S = 600.0
#: So many are waited for, and so many of them by one user: a browser asks for six at a time.
_MOST_WAITING, _MOST_OF_ONE = 64, 16


@dataclass(frozen=True)
class _Order:
    """A small copy that has yet to be made."""

    place: Path
    wanted: OpenOutput
    side: int
    user: str  #: who asked first
    future: "Future[Path]" = field(default_factory=Future)


class Thumbnails:
    """Each is made once, however many ask for it, and few at a time: one for each user who waits.

    Who waits for one holds no thread.
    """

    def __init__(self, farm: Farm) -> None:
        self._farm = farm
        self._folder = farm.settings.data_dir / "thumbnails"
        self._pool = ThreadPoolExecutor(_AT_A_TIME, "thumbnails")
        self._orders: dict[Path, _Order] = {}  # by age
        self._making: set[Path] = set()
        self._bad: OrderedDict[Path, tuple[BadImage, float]] = OrderedDict()  # until when
        self._closed = False
        self._lock = threading.Lock()

    def request(self, wanted: OpenOutput, side: int, user: str) -> Path | Future[Path]:
        """A WebP of an output, with sides of `side` pixels at most (one of SIDES, or the next larger one).

        A future where it has yet to be made; it raises BadImage where the output is no image, NotStored,
        StoreUnavailable, DecoderUnavailable. Raises BadImage where that is known, Busy when too many are waited for.
        """
        side = next((larger for larger in SIDES if larger >= side), SIDES[-1])
        place = self._folder / wanted.output.digest[:2] / f"{wanted.output.digest[2:]}-{side}.webp"
        if place.exists():
            return place
        with self._lock:
            error, until = self._bad.get(place, (None, 0.0))
            if error is not None and self._farm.clock.monotonic() < until:
                raise _anew(error)
            order = self._orders.get(place)
            if order is None:
                of_user = sum(order.user == user for order in self._orders.values())
                if len(self._orders) >= _MOST_WAITING or of_user >= _MOST_OF_ONE:
                    raise Busy("Too many images are waited for.", retry_after_s=5.0)
                order = self._orders[place] = _Order(place, wanted, side, user)
                self._begin()
        return order.future

    def close(self) -> None:
        """Make no more; what is being made is finished."""
        with self._lock:
            self._closed = True
            left = [order.future for place, order in self._orders.items() if place not in self._making]
        self._pool.shutdown()
        for future in left:
            future.set_exception(Busy("The server is being stopped."))

    def _begin(self) -> None:
        """Make the oldest ones, of users for whom none is being made: nobody has all there is of us."""
        for order in self._orders.values():
            served = {self._orders[place].user for place in self._making}
            if len(self._making) < _AT_A_TIME and order.user not in served:
                self._making.add(order.place)
                self._pool.submit(self._fulfil, order)

    def _fulfil(self, order: _Order) -> None:
        error: BaseException | None = None
        try:
            self._make(order.wanted, order.place, order.side)
        except BaseException as caught:  # for who waits
            error = caught
        with self._lock:
            del self._orders[order.place]
            self._making.remove(order.place)
            if isinstance(error, BadImage):
                self._bad[order.place] = (_anew(error), self._farm.clock.monotonic() + _BAD_S)
                if len(self._bad) > _MOST_BAD:
                    self._bad.popitem(last=False)
            if not self._closed:
                self._begin()
        if error is None:
            order.future.set_result(order.place)
        else:
            order.future.set_exception(error)

    def _make(self, wanted: OpenOutput, place: Path, side: int) -> None:
        if place.exists():  # another process of this machine has made it meanwhile
            return
        with scratch_of(self._farm, "thumbnail") as scratch:
            whole, written = scratch / f"whole{Path(wanted.output.name).suffix}", scratch / "small"
            written.mkdir()
            self._farm.store.get(wanted.output.digest, whole)
            self._farm.decoder.write_thumbnail(whole, written / "small.webp", side)
            ensure_private_folder(self._folder)
            ensure_private_folder(place.parent)
            (written / "small.webp").replace(place)
        _shrink(place.parent)


def _anew(error: BadImage) -> BadImage:
    """The same error for somebody else: one that is raised again and again holds on to all who were told."""
    return type(error)(error.message, hint=error.hint)


def _shrink(folder: Path) -> None:
    """Give up the older half where one folder of the 256 holds more than its share."""
    files = list(folder.iterdir())
    if len(files) > _MOST_KEPT // 256:
        for file in sorted(files, key=_age)[: len(files) // 2]:
            file.unlink(missing_ok=True)


def _age(file: Path) -> float:
    """Its time; of one that another request has given up, none."""
    try:
        return file.stat().st_mtime
    except FileNotFoundError:
        return 0.0
