"""The GPUs that sessions get."""

import threading

from renderctl.core.errors import EngineRefused


class Gpus:
    """Hands them out: all to everybody, or each to one session at a time."""

    def __init__(self, names: tuple[str, ...], *, shared: bool) -> None:
        """`names` are indices or ids as the engine knows them, or `all`."""
        self._names = names
        self._shared = shared
        self._free = list(names)
        self._lock = threading.Lock()

    def take(self) -> tuple[str, ...]:
        """Those of a new session. Raises EngineRefused when each of them has its session."""
        if self._shared:
            return self._names
        with self._lock:
            if not self._free:
                raise EngineRefused(
                    f"Every GPU has its session: {len(self._names)} of executor.gpus, which are not shared.",
                    hint="Let worker.slots be their number, or executor.share_gpus true.",
                )
            return (self._free.pop(0),)

    def give_back(self, taken: tuple[str, ...]) -> None:
        """The session has ended."""
        if not self._shared:
            with self._lock:
                self._free += taken
