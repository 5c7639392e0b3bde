"""Ctrl-C and SIGTERM."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM counts as Ctrl-C: what runs is given up in good order."""
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def asked_twice(first: Callable[[], None], second: Callable[[], None]) -> Iterator[None]:
    """The first SIGTERM or Ctrl-C calls `first`, each further one `second`."""
    asked = 0

    def called(_signal: int, _frame: FrameType | None) -> None:
        nonlocal asked
        asked += 1
        (first if asked == 1 else second)()

    before = {each: signal.signal(each, called) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
