"""Waiting for the end of a process that need not be a child."""

import os
import select

from renderctl.core.clocks import SystemClock

_POLL_S = 0.02


def has_ended(pid: int, timeout_s: float) -> bool:
    """Return whether a process ends within `timeout_s` seconds; a zombie has ended."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    except (AttributeError, OSError):  # a kernel before 5.3, or not Linux
        return _has_ended_by_polling(pid, timeout_s)
    try:
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        return bool(poll.poll(max(timeout_s, 0.0) * 1000))
    finally:
        os.close(pidfd)


def _has_ended_by_polling(pid: int, timeout_s: float) -> bool:
    from renderctl.executors.process_tree import is_alive

    clock = SystemClock()
    deadline = clock.monotonic() + timeout_s
    while is_alive(pid):
        if clock.monotonic() >= deadline:
            return False
        clock.wait(None, _POLL_S)
    return True
