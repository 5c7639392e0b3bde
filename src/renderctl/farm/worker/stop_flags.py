"""What a worker's slots are told from outside."""

import threading
from dataclasses import dataclass, field


@dataclass(frozen=True)
class StopFlags:
    """Three things that a slot obeys; each may be set from any thread."""

    hold: threading.Event = field(default_factory=threading.Event)  #: finish the frame, then wait until it is cleared
    drain: threading.Event = field(default_factory=threading.Event)  #: finish the frame and leave
    abort: threading.Event = field(default_factory=threading.Event)  #: leave at once

    @property
    def leaving(self) -> bool:
        return self.drain.is_set() or self.abort.is_set()

    @property
    def accepting(self) -> bool:
        """Whether more work may be taken."""
        return not (self.hold.is_set() or self.leaving)
