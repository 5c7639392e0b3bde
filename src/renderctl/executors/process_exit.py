"""Whether a process has ended, and waiting for it."""

import os
import select

from renderctl.core.clocks import SystemClock

_GLANCE_S = 0.02


def ended(pid: int, timeout_s: float) -> bool:
    """Whether a process ends within `timeout_s` seconds, or has; one that waits to be reaped has."""
    try:
        watch = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    except (AttributeError, OSError):  # a kernel before 5.3, or not Linux
        return _ended_at_a_glance(pid, timeout_s)
    try:
        poll = select.poll()
        poll.register(watch, select.POLLIN)
        return bool(poll.poll(max(timeout_s, 0.0) * 1000))
    finally:
        os.close(watch)


def _ended_at_a_glance(pid: int, timeout_s: float) -> bool:
    from renderctl.executors.process_tree import is_alive

    clock = SystemClock()
    give_up = clock.monotonic() + timeout_s
    while is_alive(pid):
        if clock.monotonic() >= give_up:
            return False
        clock.wait(None, _GLANCE_S)
    return True
