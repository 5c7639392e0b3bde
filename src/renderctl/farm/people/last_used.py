"""When tokens and sessions were last used: kept in memory, and written once a minute."""

import logging
import threading
from datetime import datetime

from renderctl.core.clocks import SystemClock
from renderctl.core.errors import RenderctlError
from renderctl.farm import Farm
from renderctl.farm.periodic import PeriodicThread

logger = logging.getLogger(__name__)

#: Seconds between two writes: what a process loses of them when it is killed.
_WRITE_EVERY_S = 60.0


class LastUsed:
    """Collects uses, and writes all of them in one transaction, so that to authenticate somebody writes nothing.

    Uses that the database does not take are kept for the next write.
    """

    def __init__(self, farm: Farm) -> None:
        self._farm = farm
        self._tokens: dict[str, datetime] = {}
        self._sessions: dict[str, tuple[datetime, str | None]] = {}
        self._lock = threading.Lock()
        self._thread: PeriodicThread | None = None

    def start(self) -> None:
        """Write once a minute of this process, in a thread."""
        self._thread = PeriodicThread(SystemClock(), "last-used", _WRITE_EVERY_S, self.write, first_s=_WRITE_EVERY_S)
        self._thread.start()

    def stop(self) -> None:
        """End the thread, and write what is left."""
        if self._thread is not None:
            self._thread.stop()
        self.write()

    def note_token(self, token_id: str, at: datetime) -> None:
        with self._lock:
            self._tokens[token_id] = at

    def note_session(self, digest: str, at: datetime, address: str | None) -> None:
        with self._lock:
            self._sessions[digest] = at, address

    def session_seen_at(self, digest: str) -> datetime | None:
        """When a session was last used, if that is not written yet."""
        with self._lock:
            use = self._sessions.get(digest)
        return use[0] if use else None

    def write(self) -> None:
        """Write the uses that were noted since the last write."""
        with self._lock:
            tokens, sessions = dict(self._tokens), dict(self._sessions)
        if not tokens and not sessions:
            return
        try:
            self._farm.repository.credential_uses.record(tokens, sessions)
        except RenderctlError as error:
            logger.info("The last uses of tokens and sessions can not be written now: %s", error)
            return
        with self._lock:  # not before: `session_seen_at` knows of a use until the database does
            self._tokens = {key: use for key, use in self._tokens.items() if tokens.get(key) != use}
            self._sessions = {key: use for key, use in self._sessions.items() if sessions.get(key) != use}
