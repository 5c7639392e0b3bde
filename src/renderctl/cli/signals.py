"""What this process does when it is sent a signal.

A handler may interrupt its thread anywhere: within another handler, or while the thread holds a lock. So it takes no
lock itself, as setting an event or logging does: it only notes the signal, and a thread acts on it.
"""

import itertools
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from queue import SimpleQueue
from signal import Signals
from types import FrameType

from renderctl.core.errors import Interrupted

logger = logging.getLogger(__name__)

_ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
#: Seconds that the thread has for what it is at when nobody waits for signals any more.
_END_S = 5.0


@contextmanager
def interruptible() -> Iterator[threading.Event]:
    """The first Ctrl-C, SIGTERM or closed terminal sets the event and raises KeyboardInterrupt: what runs is given
    up in good order. A second one kills this process, and the kernel its Blenders.
    """
    stop = threading.Event()
    count = itertools.count()
    interrupted = False

    def interrupt(number: int, _frame: FrameType | None) -> None:
        nonlocal interrupted
        interrupted = True
        if next(count) > 0:
            _die(number)
        note(number)
        raise KeyboardInterrupt

    with _acting(lambda _number: stop.set()) as note, _handling(_endings(), interrupt):
        try:
            yield stop
        except Exception as error:
            if interrupted and not isinstance(error, Interrupted):  # such as an import that was broken off
                raise Interrupted from error
            raise


@contextmanager
def on_first_and_second_signal(first: Callable[[], None], second: Callable[[], None]) -> Iterator[None]:
    """The first SIGTERM, Ctrl-C or closed terminal calls `first`, each further one `second`; from a thread."""
    count = itertools.count()

    def act(_number: Signals) -> None:
        (first if next(count) == 0 else second)()

    with _acting(act) as note, _handling(_endings(), lambda number, _frame: note(number)):
        yield


@contextmanager
def pausable(hold: Callable[[], None], resume: Callable[[], None]) -> Iterator[None]:
    """SIGUSR1 calls `hold`, SIGUSR2 `resume`; from a thread."""
    actions = {signal.SIGUSR1: hold, signal.SIGUSR2: resume}
    with (
        _acting(lambda number: actions[number]()) as note,
        _handling(tuple(actions), lambda number, _frame: note(number)),
    ):
        yield


@contextmanager
def _acting(act: Callable[[Signals], None]) -> Iterator[Callable[[int], None]]:
    """What a handler notes a signal with; a thread calls `act` with one after the other."""
    noted: SimpleQueue[int | None] = SimpleQueue()  # its `put` may interrupt itself

    def run() -> None:
        while (number := noted.get()) is not None:
            try:
                act(Signals(number))
            except Exception:
                logger.exception("%s could not be acted on", Signals(number).name)

    thread = threading.Thread(target=run, name="signals", daemon=True)
    thread.start()
    try:
        yield noted.put
    finally:
        noted.put(None)
        thread.join(_END_S)


@contextmanager
def _handling(numbers: Sequence[Signals], handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Have the handler in place of those that were there before."""
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


def _endings() -> Sequence[Signals]:
    return [number for number in _ENDINGS if signal.getsignal(number) is not signal.SIG_IGN]  # nohup


def _die(number: int) -> None:
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
