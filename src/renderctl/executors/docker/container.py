"""A session that runs in a container."""

import os
import signal
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from docker.errors import APIError

from renderctl.core.clocks import SystemClock
from renderctl.core.errors import EngineUnavailable, SessionEnded, Unreachable
from renderctl.executors import ExitStatus, SessionProcess, exit_reasons
from renderctl.executors.disk_usage import directory_bytes, spare_mb
from renderctl.executors.docker import container_exit
from renderctl.executors.docker.archive_copy import ArchiveTooLarge, copy_in, copy_out
from renderctl.executors.docker.client import Engine, NotFound, engine_time
from renderctl.executors.docker.container_spec import ContainerUser, ResourceLimits
from renderctl.executors.docker.stdio import AttachedStreams

#: Seconds that a container may take to be dead after it has said its last word.
_DYING_S = 10.0
#: Seconds between two looks at what it has written.
_LOOK_S = 0.5
#: Megabytes that are left free on the disk of its scratch.
_SPARE_MB = 512
_CLOCK = SystemClock()


@dataclass(frozen=True)
class ContainerHost:
    """What a container was started with."""

    id: str
    scratch: Path
    bars: ResourceLimits
    tenant: ContainerUser
    began: float  #: seconds since 1970, by the engine's clock
    inputs: tuple[Path, ...] = ()
    shared: bool = True  #: whether its folders are ours; else files are carried in and out


class RunningContainer(SessionProcess):
    """One thread talks to it; any thread may stop it."""

    def __init__(
        self,
        engine: Engine,
        place: ContainerHost,
        attachment: AttachedStreams,
        let_go: Callable[[str, bool], None],
    ) -> None:
        """`let_go` hears of its id when it is over, and whether it is gone."""
        self._engine = engine
        self._place = place
        self._attachment = attachment
        self._let_go = let_go
        self._busy_s = 0.0
        self._memory_mb = 0.0
        self._ending = threading.RLock()
        self._stopped_by_us = False
        self._offence: ExitStatus | None = None  # what we have killed it for
        self._status: ExitStatus | None = None
        self._over = False
        threading.Thread(target=self._watch, name="watch", daemon=True).start()

    @property
    def pid(self) -> int | None:
        return None

    def send(self, line: str) -> None:
        if self._attachment.ended.is_set():  # what the engine would take from us nobody would get
            raise self._session_ended()
        try:
            self._attachment.write(line.encode("utf-8", "surrogateescape") + b"\n")
        except (OSError, ValueError) as error:
            raise self._session_ended() from error

    def receive(self, timeout_s: float) -> str | None:
        line = self._attachment.read(timeout_s)
        if line is None and self._attachment.at_end:
            raise self._session_ended()
        return line

    def busy_s(self) -> float:
        self._measure()
        return self._busy_s

    def memory_mb(self) -> float:
        self._measure()
        return self._memory_mb

    def deliver(self, path: Path) -> None:
        place = self._place
        if not place.shared:
            own = path.is_relative_to(place.scratch)
            below = place.scratch if own else next(each for each in place.inputs if path.is_relative_to(each))
            owner = place.tenant if own else ContainerUser(0, 0)
            self._carry(lambda client: copy_in(client, place.id, path, below, owner))
        elif os.getuid() == 0 and path.is_relative_to(self._place.scratch):
            os.chown(path, self._place.tenant.uid, self._place.tenant.gid, follow_symlinks=False)

    def fetch(self, path: Path) -> None:
        place = self._place
        if not place.shared:
            try:
                self._carry(lambda client: copy_out(client, place.id, path, place.bars.scratch_mb << 20))
            except ArchiveTooLarge:
                self._punish(exit_reasons.overfull(place.bars.scratch_mb))

    def stop(self, grace_s: float = 0.0) -> ExitStatus:
        if grace_s > 0 and self._kill(signal.SIGTERM):
            _CLOCK.wait(self._attachment.ended, grace_s)
        with self._ending:
            status = self._exit_status()
            if not self._over:
                self._over = True
                self._remove()
                self._attachment.close()
            return status

    def _carry(self, deed: Callable[[Any], None]) -> None:
        try:
            with self._engine.speaking() as client:
                deed(client)
        except (NotFound, Unreachable, OSError) as error:
            raise SessionEnded(f"Files can not be carried to or from its container: {error}") from error

    def _session_ended(self) -> SessionEnded:
        return SessionEnded(f"It ended: {self._exit_status()}.")

    def _exit_status(self) -> ExitStatus:
        with self._ending:
            if self._status is None:
                self._status = self._offence or self._look_at_end()
            return self._status

    def _look_at_end(self) -> ExitStatus:
        try:
            with self._engine.speaking() as client:
                if self._attachment.ended.is_set():  # or the engine is away
                    client.api.wait(self._place.id, timeout=_DYING_S)
                state: Mapping[str, Any] = client.api.inspect_container(self._place.id)["State"]
                if state["Running"]:  # it is our stop that ends it
                    return ExitStatus(None, signal.SIGKILL)
                by_hand = not self._stopped_by_us and self._was_killed(client)
        except NotFound:
            return container_exit.removed()
        except Unreachable as error:
            return container_exit.engine_away(error.message)
        memory_mb = self._place.bars.memory_mb or 0
        return container_exit.of_state(state, memory_mb, stopped_by_us=self._stopped_by_us, by_hand=by_hand)

    def _was_killed(self, client: Any) -> bool:
        """Whether somebody has asked the engine to kill it."""
        filters = {"container": self._place.id, "event": "kill"}
        return bool(list(client.api.events(since=self._place.began, until=engine_time(client), filters=filters)))

    def _kill(self, number: int) -> bool:
        """Send it a signal; whether it was there to get it."""
        with self._ending:
            if self._status is not None or self._attachment.ended.is_set():
                return False
            self._stopped_by_us = True
        try:
            with self._engine.speaking() as client:
                client.api.kill(self._place.id, number)
        except (NotFound, Unreachable):
            return False
        return True

    def _remove(self) -> None:
        """Kill what is left of it, and leave nothing."""
        gone = False
        try:
            with self._engine.speaking() as client:
                client.api.remove_container(self._place.id, force=True, v=True)
            gone = True
        except NotFound:
            gone = True
        except Unreachable:
            pass  # before the next one starts
        self._let_go(self._place.id, gone)

    def _watch(self) -> None:
        """End it when it does what no scene has to do."""
        most = self._place.bars.scratch_mb << 20
        while not _CLOCK.wait(self._attachment.ended, _LOOK_S):
            with suppress(OSError):
                if not self._place.shared:
                    pass  # the disk is the engine's
                elif directory_bytes(self._place.scratch, most) > most:
                    self._punish(exit_reasons.overfull(self._place.bars.scratch_mb))
                elif (spare := spare_mb(self._place.scratch)) < _SPARE_MB:
                    self._punish(exit_reasons.disk_full(spare))
            if self._attachment.too_long:
                self._punish(container_exit.overlong())

    def _punish(self, offence: ExitStatus) -> None:
        with self._ending:
            self._offence = self._offence or offence
        self._kill(signal.SIGKILL)

    def _measure(self) -> None:
        """What it uses; what it used when it was last seen, once it is gone."""
        with suppress(NotFound, EngineUnavailable, APIError, KeyError), self._engine.speaking() as client:
            used = client.api.stats(self._place.id, stream=False, one_shot=True)
            self._busy_s = max(self._busy_s, used["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9)
            memory = used["memory_stats"]
            cached = memory["stats"].get("total_inactive_file", memory["stats"].get("inactive_file", 0))
            self._memory_mb = (memory["usage"] - cached) / (1 << 20)
