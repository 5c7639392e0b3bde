"""A session process in a container, and the watchdog of its limits."""

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
from renderctl.executors.disk_usage import directory_bytes, free_mb
from renderctl.executors.docker import container_exit
from renderctl.executors.docker.archive_copy import ArchiveTooLarge, copy_in, copy_out
from renderctl.executors.docker.client import Engine, NotFound, engine_time
from renderctl.executors.docker.container_spec import ContainerUser, ResourceLimits
from renderctl.executors.docker.stdio import AttachedStreams

#: Seconds that a container may take to exit after its output ended.
_EXIT_TIMEOUT_S = 10.0
#: Seconds between two checks of its limits.
_CHECK_INTERVAL_S = 0.5
#: Megabytes to keep free on the disk of its scratch.
_MIN_FREE_MB = 512
_CLOCK = SystemClock()


@dataclass(frozen=True)
class ContainerHost:
    """A started container, with its folders and limits."""

    id: str
    scratch: Path
    limits: ResourceLimits
    user: ContainerUser
    started_at: float  #: Unix time in seconds, by the engine's clock
    inputs: tuple[Path, ...] = ()
    shared: bool = True  #: whether it shares this machine's disk; otherwise files are copied in and out


class RunningContainer(SessionProcess):
    """One thread exchanges lines with it; any thread may stop it."""

    def __init__(
        self,
        engine: Engine,
        host: ContainerHost,
        streams: AttachedStreams,
        on_removed: Callable[[str, bool], None],
    ) -> None:
        """`on_removed` is called once with its id, and whether it could be removed."""
        self._engine = engine
        self._host = host
        self._streams = streams
        self._on_removed = on_removed
        self._busy_s = 0.0
        self._memory_mb = 0.0
        self._end_lock = threading.RLock()
        self._stop_requested = False
        self._violation: ExitStatus | None = None  # the reason why the watchdog killed it
        self._status: ExitStatus | None = None
        self._is_removed = False
        threading.Thread(target=self._watch, name="watch", daemon=True).start()

    @property
    def pid(self) -> int | None:
        """None: it runs in the engine."""
        return None

    def send(self, line: str) -> None:
        """Write a line to its standard input. Raises SessionEnded."""
        if self._streams.ended.is_set():  # the engine would accept the line for nobody
            raise self._session_ended()
        try:
            self._streams.write(line.encode("utf-8", "surrogateescape") + b"\n")
        except (OSError, ValueError) as error:
            raise self._session_ended() from error

    def receive(self, timeout_s: float) -> str | None:
        """Return the next line of its standard output, or None. Raises SessionEnded."""
        line = self._streams.read(timeout_s)
        if line is None and self._streams.at_end:
            raise self._session_ended()
        return line

    def busy_s(self) -> float:
        """Return the processor seconds that the engine has accounted to the container."""
        self._update_usage()
        return self._busy_s

    def memory_mb(self) -> float:
        """Return the container's memory without page cache, in megabytes."""
        self._update_usage()
        return self._memory_mb

    def deliver(self, path: Path) -> None:
        """Copy `path` in, or give a shared file to the container's user. Raises SessionEnded."""
        host = self._host
        if not host.shared:
            is_scratch = path.is_relative_to(host.scratch)
            below = (
                host.scratch if is_scratch else next(folder for folder in host.inputs if path.is_relative_to(folder))
            )
            owner = host.user if is_scratch else ContainerUser(0, 0)
            self._transfer(lambda client: copy_in(client, host.id, path, below, owner))
        elif os.getuid() == 0 and path.is_relative_to(self._host.scratch):
            os.chown(path, self._host.user.uid, self._host.user.gid, follow_symlinks=False)

    def fetch(self, path: Path) -> None:
        """Copy `path` out, unless the disk is shared. Raises SessionEnded."""
        host = self._host
        if not host.shared:
            try:
                self._transfer(lambda client: copy_out(client, host.id, path, host.limits.scratch_mb << 20))
            except ArchiveTooLarge:
                self._kill_for(exit_reasons.scratch_limit_exceeded(host.limits.scratch_mb))

    def stop(self, grace_s: float = 0.0) -> ExitStatus:
        """Send SIGTERM if `grace_s` is given, then kill and remove the container."""
        if grace_s > 0 and self._kill(signal.SIGTERM):
            _CLOCK.wait(self._streams.ended, grace_s)
        with self._end_lock:
            status = self._exit_status()
            if not self._is_removed:
                self._is_removed = True
                self._remove()
                self._streams.close()
            return status

    def _transfer(self, copy: Callable[[Any], None]) -> None:
        try:
            with self._engine.client() as client:
                copy(client)
        except (NotFound, Unreachable, OSError) as error:
            raise SessionEnded(f"Files cannot be copied to or from its container: {error}") from error

    def _session_ended(self) -> SessionEnded:
        return SessionEnded(f"It ended: {self._exit_status()}.")

    def _exit_status(self) -> ExitStatus:
        with self._end_lock:
            if self._status is None:
                self._status = self._violation or self._inspect_exit()
            return self._status

    def _inspect_exit(self) -> ExitStatus:
        try:
            with self._engine.client() as client:
                if self._streams.ended.is_set():  # otherwise the engine is out of reach
                    client.api.wait(self._host.id, timeout=_EXIT_TIMEOUT_S)
                state: Mapping[str, Any] = client.api.inspect_container(self._host.id)["State"]
                if state["Running"]:  # it still runs: this stop kills it
                    return ExitStatus(None, signal.SIGKILL)
                killed_by_others = not self._stop_requested and self._killed_by_others(client)
        except NotFound:
            return container_exit.removed()
        except Unreachable as error:
            return container_exit.engine_away(error.message)
        memory_mb = self._host.limits.memory_mb or 0
        return container_exit.exit_status_of(
            state, memory_mb, stop_requested=self._stop_requested, killed_by_others=killed_by_others
        )

    def _killed_by_others(self, client: Any) -> bool:
        """Return whether another client has asked the engine to kill it."""
        filters = {"container": self._host.id, "event": "kill"}
        return bool(list(client.api.events(since=self._host.started_at, until=engine_time(client), filters=filters)))

    def _kill(self, number: int) -> bool:
        """Send a signal; return whether the container was running."""
        with self._end_lock:
            if self._status is not None or self._streams.ended.is_set():
                return False
            self._stop_requested = True
        try:
            with self._engine.client() as client:
                client.api.kill(self._host.id, number)
        except (NotFound, Unreachable):
            return False
        return True

    def _remove(self) -> None:
        """Kill and remove the container with its volumes."""
        gone = False
        try:
            with self._engine.client() as client:
                client.api.remove_container(self._host.id, force=True, v=True)
            gone = True
        except NotFound:
            gone = True
        except Unreachable:
            pass  # removed before the next start
        self._on_removed(self._host.id, gone)

    def _watch(self) -> None:
        """Kill the session when it violates a limit."""
        max_bytes = self._host.limits.scratch_mb << 20
        while not _CLOCK.wait(self._streams.ended, _CHECK_INTERVAL_S):
            with suppress(OSError):
                if not self._host.shared:
                    pass  # its disk cannot be measured
                elif directory_bytes(self._host.scratch, max_bytes) > max_bytes:
                    self._kill_for(exit_reasons.scratch_limit_exceeded(self._host.limits.scratch_mb))
                elif (free := free_mb(self._host.scratch)) < _MIN_FREE_MB:
                    self._kill_for(exit_reasons.disk_full(free))
            if self._streams.line_too_long:
                self._kill_for(container_exit.line_too_long())

    def _kill_for(self, violation: ExitStatus) -> None:
        with self._end_lock:
            self._violation = self._violation or violation
        self._kill(signal.SIGKILL)

    def _update_usage(self) -> None:
        """Update the figures of its usage; the last ones stay once it is gone."""
        with suppress(NotFound, EngineUnavailable, APIError, KeyError), self._engine.client() as client:
            stats = client.api.stats(self._host.id, stream=False, one_shot=True)
            self._busy_s = max(self._busy_s, stats["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9)
            memory = stats["memory_stats"]
            cached = memory["stats"].get("total_inactive_file", memory["stats"].get("inactive_file", 0))
            self._memory_mb = (memory["usage"] - cached) / (1 << 20)
