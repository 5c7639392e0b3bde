"""The frames that simulated workers render: by waiting."""

import asyncio
import time
from dataclasses import dataclass, field

from renderctl.core.jobs import Attempt

#: As a real worker says it of a frame that is rendered, and not published.
_NEARLY = 0.999


@dataclass(eq=False)
class SimulatedFrame:
    """An attempt in a worker's hands."""

    attempt: Attempt
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    seconds: float = 0.0  #: that it takes, once it is being rendered
    began: float | None = None
    reported: float = 0.0  #: the progress that followers know of
    logged: int = 0  #: bytes of its log that followers have

    async def render(self, seconds: float) -> bool:
        """Wait for so long; False: it was told to stop."""
        self.seconds, self.began = seconds, time.monotonic()
        try:
            await asyncio.wait_for(self.stop.wait(), seconds)
        except TimeoutError:
            return True
        return False

    @property
    def progress(self) -> float:
        if self.began is None or not self.seconds:
            return 0.0
        return min((time.monotonic() - self.began) / self.seconds, _NEARLY)

    @property
    def is_rendering(self) -> bool:
        return 0.0 < self.progress < _NEARLY
