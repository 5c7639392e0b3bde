"""Ctrl-C and SIGTERM."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from renderctl.errors import Interrupted

_ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def interruptible() -> Iterator[threading.Event]:
    """The first Ctrl-C, SIGTERM or closed terminal sets the event and raises KeyboardInterrupt: what runs is given
    up in good order. A second one kills this process, and the kernel its Blenders.
    """
    stop = threading.Event()

    def interrupt() -> None:
        stop.set()
        raise KeyboardInterrupt

    with _called_back(interrupt, _die):
        try:
            yield stop
        except Exception as error:
            if stop.is_set() and not isinstance(error, Interrupted):  # such as an import that was broken off
                raise Interrupted from error
            raise


@contextmanager
def asked_twice(first: Callable[[], None], second: Callable[[], None]) -> Iterator[None]:
    """The first SIGTERM, Ctrl-C or closed terminal calls `first`, each further one `second`."""
    with _called_back(first, lambda _number: second()):
        yield


@contextmanager
def steered(rest: Callable[[], None], go_on: Callable[[], None]) -> Iterator[None]:
    """SIGUSR1 calls `rest`, SIGUSR2 `go_on`."""
    called = {signal.SIGUSR1: rest, signal.SIGUSR2: go_on}
    before = {each: signal.signal(each, lambda number, _frame: called[signal.Signals(number)]()) for each in called}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@contextmanager
def _called_back(first: Callable[[], None], further: Callable[[int], None]) -> Iterator[None]:
    asked = 0

    def called(number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        asked += 1
        if asked == 1:
            first()
        else:
            further(number)

    caught = [each for each in _ENDINGS if signal.getsignal(each) is not signal.SIG_IGN]  # nohup
    before = {each: signal.signal(each, called) for each in caught}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _die(number: int) -> None:
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
