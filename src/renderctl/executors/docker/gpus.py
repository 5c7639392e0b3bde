"""Assigning GPUs to sessions."""

import threading

from renderctl.core.errors import EngineRefused


class GpuPool:
    """A pool of GPUs: all shared by every session, or one for each session."""

    def __init__(self, names: tuple[str, ...], *, shared: bool) -> None:
        """`names` are the engine's indices or ids of GPUs, or `all`."""
        self._names = names
        self._shared = shared
        self._free = list(names)
        self._lock = threading.Lock()

    def acquire(self) -> tuple[str, ...]:
        """Return the GPUs of a new session. Raises EngineRefused if none is free."""
        if self._shared:
            return self._names
        with self._lock:
            if not self._free:
                raise EngineRefused(
                    f"All GPUs are in use: {len(self._names)} of executor.gpus, which are not shared.",
                    hint="Set worker.slots to their number, or executor.share_gpus to true.",
                )
            return (self._free.pop(0),)

    def release(self, gpus: tuple[str, ...]) -> None:
        """Return the GPUs of a session that has ended."""
        if not self._shared:
            with self._lock:
                self._free += gpus
