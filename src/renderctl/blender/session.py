"""A session: a Blender process that opens one scene at a time and renders its frames one by one."""

import json
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from renderctl.blender.events import Devices, Failed, Left, Message, Opened, Progress, Rendered, Started, parse_message
from renderctl.blender.facts import Facts
from renderctl.blender.failures import (
    InvalidEvent,
    ProcessExit,
    SessionFailed,
    SessionStopped,
    failure_of_exit,
    last_log_lines,
)
from renderctl.blender.scripts import RenderPlan, devices_script, inspect_script, render_script
from renderctl.blender.watchdog import OutputBudget, SessionTimeouts, Watchdog
from renderctl.core.errors import SessionEnded
from renderctl.core.jobs import Failure, Fault

__all__ = ["Channel", "FrameRequest", "RenderPlan", "Session", "SessionTimeouts"]

log = logging.getLogger(__name__)
ExpectedMessage = TypeVar("ExpectedMessage", bound=Message)

#: Seconds between two checks of `stop` while waiting.
_STOP_POLL_S = 0.1
#: Characters of a line of Blender's other output in the debug log.
_LOGGED_CHARS = 500

OnProgress = Callable[[Progress], None]


class Channel(Protocol):
    """A running session process (`executors.SessionProcess`)."""

    def send(self, line: str) -> None:
        """Write a line to the process."""
        ...

    def receive(self, timeout_s: float) -> str | None:
        """Return its next line, or None."""
        ...

    def busy_s(self) -> float:
        """Return its processor seconds."""
        ...

    def deliver(self, path: Path) -> None:
        """Make a file available to it."""
        ...

    def fetch(self, path: Path) -> None:
        """Make its file available here."""
        ...

    def stop(self, grace_s: float = 0.0) -> ProcessExit:
        """End it; return how it ended."""
        ...


@dataclass(frozen=True)
class FrameRequest:
    """A request to render a frame."""

    task_id: str
    frame: int
    camera: str | None  #: None: the scene's own
    folder: Path  #: existing empty folder for the frame's files
    log: Path  #: Blender's output is appended to it
    log_alias: Path | None = None  #: the log's path for Blender, if it is another one

    def to_json(self) -> str:
        """Return the request as a line of the protocol."""
        fields = asdict(self)
        fields["log"] = fields.pop("log_alias") or self.log
        return json.dumps({"task": fields.pop("task_id"), **{key: _json_value(value) for key, value in fields.items()}})


@dataclass(frozen=True)
class _Inspection:
    """A pending inspection, with the state of the file when it was requested."""

    scene: Path
    state: tuple[int, ...]  # of the file

    @classmethod
    def of(cls, scene: Path, within: Path | None, names: Mapping[Path, Sequence[str]] | None) -> "_Inspection | None":
        """Return None for an inspection with restrictions, or if there is no such file."""
        if within is not None or names:
            return None
        try:
            stat = scene.stat()
        except OSError:
            return None
        return cls(scene, (stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns))


class Session:
    """The protocol with one Blender process. Errors raise SessionFailed, which says whose fault it is.

    After a crash, a stall or a time-out the process is gone (`alive` is False); after a failed frame it can be used
    further.
    """

    def __init__(
        self,
        channel: Channel,
        scratch: Path,
        *,
        log: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`scratch` receives the scripts; `log` is the file of its standard error; `clock` returns seconds."""
        self._channel = channel
        self._scratch = scratch
        self._log = log
        self._clock = clock
        self._budget = OutputBudget(clock)
        self._in_script = False
        self._pending_inspection: _Inspection | None = None  # requested by `begin_inspection`
        self._requested: list[FrameRequest] = []  # frames without a result yet
        self.alive = True

    def wait_started(self, limits: SessionTimeouts) -> str:
        """Wait until Blender has started; return its version, such as `5.0.1`."""
        return self._wait(Started, limits, limits.start_s).version

    def inspect(
        self,
        scene: Path,
        limits: SessionTimeouts,
        within: Path | None = None,
        names: Mapping[Path, Sequence[str]] | None = None,
    ) -> Facts:
        """Return the facts of a scene; files outside `within` count as missing.

        `names`: the files of folders that the session cannot list.
        """
        request = _Inspection.of(scene, within, names)
        pending, self._pending_inspection = self._pending_inspection, None
        if request is None or request != pending:
            self.end_script(limits)
            self._run("inspect.py", inspect_script(scene, within, names))
        facts = self._wait(Facts, limits, limits.start_s)
        self._wait_until_left(limits)
        return facts

    def begin_inspection(self, scene: Path) -> None:
        """Request an inspection ahead; `inspect` returns its result, or starts anew if the file has changed."""
        inspection = _Inspection.of(scene, None, None)
        self._run("inspect.py", inspect_script(scene))
        self._pending_inspection = inspection

    def devices(self, limits: SessionTimeouts, stop: threading.Event | None = None) -> list[str]:
        """Return the devices that Cycles can render on: `CPU`, and each GPU, such as `OPTIX: NVIDIA L4`.

        Raises SessionStopped, with the process gone, soon after `stop` was set.
        """
        self.end_script(limits)
        self._run("devices.py", devices_script())
        devices = self._wait(Devices, limits, limits.start_s, stop=stop)
        self._wait_until_left(limits)
        return list(devices.names)

    def open(self, plan: RenderPlan, limits: SessionTimeouts, stop: threading.Event | None = None) -> Opened:
        """Open a scene for rendering, replacing an open one.

        Raises SessionStopped, with the process gone, soon after `stop` was set.
        """
        self.end_script(limits)
        self._run("render.py", render_script(plan))
        return self._wait(Opened, limits, limits.start_s, stop=stop)

    def deliver(self, path: Path) -> None:
        """Make a file in one of its folders available to Blender."""
        self._deliver(path)

    def request_frame(self, request: FrameRequest) -> None:
        """Request a frame ahead, after those requested before; `render` returns its result."""
        self._deliver(request.folder, request.log_alias or request.log)
        self._send(request.to_json())
        self._requested.append(request)

    def render(
        self,
        request: FrameRequest,
        *,
        limits: SessionTimeouts,
        on_progress: OnProgress | None = None,
        stop: threading.Event,
    ) -> Rendered:
        """Render a frame: the first one requested ahead, or one that is requested now.

        Raises SessionStopped, with the process gone, soon after `stop` was set.
        """
        if request not in self._requested:
            self.request_frame(request)
        try:
            return self._wait(Rendered, limits, limits.frame_s, task=request, on_progress=on_progress, stop=stop)
        finally:
            self._requested.remove(request)
            self._fetch(request)

    def end_script(self, limits: SessionTimeouts) -> None:
        """End the rendering script, so that another scene can be opened."""
        if self._in_script:
            self._send(json.dumps({"leave": True}))
            self._wait_until_left(limits)

    def close(self) -> None:
        """Kill Blender. Nothing is lost: its files are in its scratch."""
        self._kill()

    def _run(self, name: str, script: str) -> None:
        path = self._scratch / name
        path.unlink(missing_ok=True)
        with path.open("x", encoding="utf-8") as file:  # never through a link that a session has left
            file.write(script)
        self._deliver(path)
        self._send(json.dumps({"run": str(path)}))
        self._in_script = True

    def _wait_until_left(self, limits: SessionTimeouts) -> None:
        """Wait until the script has ended, ignoring other messages."""
        watchdog = Watchdog(self._channel, limits.stall_s, limits.start_s, self._clock)
        while not isinstance(self._next(watchdog, None), Left):
            self._check(watchdog)
        self._in_script = False
        self._requested.clear()

    def _send(self, line: str) -> None:
        try:
            self._channel.send(line)
        except SessionEnded as error:
            raise self._exit_failure(None) from error

    def _wait(
        self,
        expected: type[ExpectedMessage],
        limits: SessionTimeouts,
        limit_s: float | None,
        *,
        task: FrameRequest | None = None,
        on_progress: OnProgress | None = None,
        stop: threading.Event | None = None,
    ) -> ExpectedMessage:
        watchdog = Watchdog(self._channel, limits.stall_s, limit_s, self._clock)
        while True:
            if stop is not None and stop.is_set():
                self._kill()
                raise SessionStopped
            message = self._next(watchdog, task)
            if isinstance(message, Progress):
                if on_progress is not None and task is not None and message.task_id in (None, task.task_id):
                    on_progress(message)
            elif isinstance(message, Failed):
                raise self._failed(message, limits, task)
            elif isinstance(message, expected):
                return message
            self._check(watchdog)

    def _next(self, watchdog: Watchdog, task: FrameRequest | None) -> Message | None:
        """Return the next message, or None if there was none within _STOP_POLL_S."""
        try:
            line = self._channel.receive(_STOP_POLL_S)
        except SessionEnded as error:
            raise self._exit_failure(task) from error
        if line is None:
            return None
        message = self._parse(line, task)
        if message is None:
            log.debug("Blender prints: %r", line[:_LOGGED_CHARS])
        else:
            watchdog.feed()
        return message

    def _check(self, watchdog: Watchdog) -> None:
        """Kill the session if the watchdog reports a time-out."""
        reason = watchdog.timeout_reason()
        if reason is not None:
            self._kill()
            raise SessionFailed(Failure(Fault.MACHINE, reason))

    def _parse(self, line: str, task: FrameRequest | None) -> Message | None:
        """Parse a line. An invalid event, forged by the scene's scripts, kills the session."""
        try:
            if not self._budget.spend(len(line)):
                raise InvalidEvent("its output never ends")
            message = parse_message(line)
            if isinstance(message, Rendered | Failed) and task is not None:
                _require_same_task(message, task)
            return message
        except InvalidEvent as error:
            self._kill()
            raise SessionFailed(error.failure) from error

    def _failed(self, message: Failed, limits: SessionTimeouts, task: FrameRequest | None) -> SessionFailed:
        if task is None and self._in_script:
            self._wait_until_left(limits)
        return SessionFailed(message.failure)

    def _deliver(self, *paths: Path) -> None:
        try:
            for path in paths:
                self._channel.deliver(path)
        except SessionEnded as error:
            raise self._exit_failure(None) from error

    def _fetch(self, request: FrameRequest) -> None:
        for path in (request.folder, request.log_alias or request.log):
            with suppress(SessionEnded):  # then its files are lost, too
                self._channel.fetch(path)

    def _exit_failure(self, task: FrameRequest | None) -> SessionFailed:
        self.alive = False
        exit_status = self._channel.stop()
        output = (last_log_lines(task.log) if task else "") or last_log_lines(self._log)
        return SessionFailed(failure_of_exit(exit_status, output))

    def _kill(self) -> None:
        self.alive = False
        self._channel.stop()


def _require_same_task(message: Rendered | Failed, task: FrameRequest) -> None:
    """Raise InvalidEvent if the message is about another task than the requested one."""
    if message.task_id not in (None, task.task_id):
        raise InvalidEvent("it names another task")


def _json_value(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value
