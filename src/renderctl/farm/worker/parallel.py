"""Many small things at a time."""

import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import TypeVar

Item = TypeVar("Item")

#: Downloads wait for the network most of the time.
_THREADS = 8


def in_parallel(deed: Callable[[Item], None], items: Iterable[Item], *, threads: int = _THREADS) -> None:
    """Do `deed` with every item, several at a time. The first that raises ends it, and is raised here.

    The threads do not keep the process alive, as those of concurrent.futures would.
    """
    waiting, errors = deque(items), deque[BaseException]()

    def work() -> None:
        while waiting and not errors:
            try:
                deed(waiting.popleft())
            except IndexError:  # another thread was quicker
                return
            except BaseException as error:  # raised again in the thread that waits
                errors.append(error)

    started = [threading.Thread(target=work, name="download", daemon=True) for _ in range(min(threads, len(waiting)))]
    for thread in started:
        thread.start()
    for thread in started:
        thread.join()
    if errors:
        raise errors[0]
