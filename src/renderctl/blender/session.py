"""Speaking with a session: a Blender that holds one scene and renders frames of it, one by one."""

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

#: How often a waiting session looks whether it should stop, in seconds.
_STOP_POLL_S = 0.1
#: Characters of a line of chatter that a debug log shows.
_LOGGED_CHARS = 500

OnProgress = Callable[[Progress], None]


class Channel(Protocol):
    """A running session process (`executors.Running`)."""

    def send(self, line: str) -> None: ...
    def receive(self, timeout_s: float) -> str | None: ...
    def busy_s(self) -> float: ...
    def deliver(self, path: Path) -> None: ...
    def fetch(self, path: Path) -> None: ...
    def stop(self, grace_s: float = 0.0) -> ProcessExit: ...


@dataclass(frozen=True)
class FrameRequest:
    """A frame to be rendered."""

    task_id: str
    frame: int
    camera: str | None  #: None: the scene's own
    folder: Path  #: empty, and there: what the frame leaves goes in it
    log: Path  #: what Blender prints meanwhile is added to it
    printed_to: Path | None = None  #: another name of the log, which Blender sees; None: it sees the log

    def as_line(self) -> str:
        document = asdict(self)
        document["log"] = document.pop("printed_to") or self.log
        return json.dumps({"task": document.pop("task_id"), **{key: _plain(value) for key, value in document.items()}})


@dataclass(frozen=True)
class _Inspection:
    """Looking at a file, as it was when that was asked for."""

    scene: Path
    state: tuple[int, ...]  # of the file

    @classmethod
    def of(cls, scene: Path, within: Path | None, names: Mapping[Path, Sequence[str]] | None) -> "_Inspection | None":
        """None: it is more than a look at the file as it lies there, or there is none."""
        if within is not None or names:
            return None
        try:
            stat = scene.stat()
        except OSError:
            return None
        return cls(scene, (stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns))


class Session:
    """One Blender. Whatever goes wrong raises SessionFailed, which says whose fault it is.

    After a crash, a stall or a time-out the process is gone (`alive` is False) and another session is needed; after a
    failed frame this one goes on.
    """

    def __init__(
        self,
        channel: Channel,
        scratch: Path,
        *,
        log: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`scratch` gets the scripts; `log` is where the process's standard error goes; `clock` counts seconds."""
        self._channel = channel
        self._scratch = scratch
        self._log = log
        self._clock = clock
        self._budget = OutputBudget(clock)
        self._in_script = False
        self._begun: _Inspection | None = None  # what it looks at already, or will when it is up
        self._ordered: list[FrameRequest] = []  # frames that it was told to render, and has not answered for
        self.alive = True

    def started(self, limits: SessionTimeouts) -> str:
        """Wait until Blender is up; its version, such as `5.0.1`."""
        return self._wait(Started, limits, limits.start_s).version

    def inspect(
        self,
        scene: Path,
        limits: SessionTimeouts,
        within: Path | None = None,
        names: Mapping[Path, Sequence[str]] | None = None,
    ) -> Facts:
        """What is known of a scene; what is not below `within` is missing.

        `names`: the files of folders that the session can not list.
        """
        request = _Inspection.of(scene, within, names)
        begun, self._begun = self._begun, None
        if request is None or request != begun:
            self.leave(limits)
            self._run("inspect.py", inspect_script(scene, within, names))
        facts = self._wait(Facts, limits, limits.start_s)
        self._left(limits)
        return facts

    def begin_inspection(self, scene: Path) -> None:
        """Have it look at a scene as soon as it is up; `inspect` has the answer, or begins anew if the file changed."""
        inspection = _Inspection.of(scene, None, None)
        self._run("inspect.py", inspect_script(scene))
        self._begun = inspection

    def devices(self, limits: SessionTimeouts, stop: threading.Event | None = None) -> list[str]:
        """What Cycles can render on here: `CPU`, and each GPU, such as `OPTIX: NVIDIA L4`.

        Raises SessionStopped, with the process gone, soon after `stop` was set.
        """
        self.leave(limits)
        self._run("devices.py", devices_script())
        devices = self._wait(Devices, limits, limits.start_s, stop=stop)
        self._left(limits)
        return list(devices.names)

    def open(self, plan: RenderPlan, limits: SessionTimeouts, stop: threading.Event | None = None) -> Opened:
        """Open the scene and get it ready for rendering, in place of one that was open before.

        Raises SessionStopped, with the process gone, soon after `stop` was set.
        """
        self.leave(limits)
        self._run("render.py", render_script(plan))
        return self._wait(Opened, limits, limits.start_s, stop=stop)

    def deliver(self, path: Path) -> None:
        """Let Blender have what was put in one of its folders."""
        self._deliver(path)

    def order(self, order: FrameRequest) -> None:
        """Have it render a frame as soon as it is done with those that it was told before; `render` has the answer."""
        self._deliver(order.folder, order.printed_to or order.log)
        self._send(order.as_line())
        self._ordered.append(order)

    def render(
        self,
        order: FrameRequest,
        *,
        limits: SessionTimeouts,
        on_progress: OnProgress | None = None,
        stop: threading.Event,
    ) -> Rendered:
        """Render one frame: the first of those that were ordered, or one that is ordered now.

        Raises SessionStopped, with the process gone, soon after `stop` was set.
        """
        if order not in self._ordered:
            self.order(order)
        try:
            return self._wait(Rendered, limits, limits.frame_s, task=order, on_progress=on_progress, stop=stop)
        finally:
            self._ordered.remove(order)
            self._fetch(order)

    def leave(self, limits: SessionTimeouts) -> None:
        """End the rendering script, so that another scene may be opened."""
        if self._in_script:
            self._send(json.dumps({"leave": True}))
            self._left(limits)

    def close(self) -> None:
        """End Blender at once. It holds nothing that would be lost: what it writes lies in its scratch."""
        self._kill()

    def _run(self, name: str, script: str) -> None:
        path = self._scratch / name
        path.unlink(missing_ok=True)
        with path.open("x", encoding="utf-8") as file:  # of our own: a link that a session has left leads anywhere
            file.write(script)
        self._deliver(path)
        self._send(json.dumps({"run": str(path)}))
        self._in_script = True

    def _left(self, limits: SessionTimeouts) -> None:
        """Wait until the script has ended, whatever else it says."""
        watch = Watchdog(self._channel, limits.stall_s, limits.start_s, self._clock)
        while not isinstance(self._next(watch, None), Left):
            self._check(watch)
        self._in_script = False
        self._ordered.clear()

    def _send(self, line: str) -> None:
        try:
            self._channel.send(line)
        except SessionEnded as error:
            raise self._ended(None) from error

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
        watch = Watchdog(self._channel, limits.stall_s, limit_s, self._clock)
        while True:
            if stop is not None and stop.is_set():
                self._kill()
                raise SessionStopped
            message = self._next(watch, task)
            if isinstance(message, Progress):
                if on_progress is not None and task is not None and message.task_id in (None, task.task_id):
                    on_progress(message)
            elif isinstance(message, Failed):
                raise self._failed(message, limits, task)
            elif isinstance(message, expected):
                return message
            self._check(watch)

    def _next(self, watch: Watchdog, task: FrameRequest | None) -> Message | None:
        """The next message; None: there was none in a while."""
        try:
            line = self._channel.receive(_STOP_POLL_S)
        except SessionEnded as error:
            raise self._ended(task) from error
        if line is None:
            return None
        message = self._parse(line, task)
        if message is None:
            log.debug("Blender prints: %r", line[:_LOGGED_CHARS])
        else:
            watch.heard()
        return message

    def _check(self, watch: Watchdog) -> None:
        """Give a session up that takes too long, however much it says meanwhile."""
        reason = watch.complaint()
        if reason is not None:
            self._kill()
            raise SessionFailed(Failure(Fault.MACHINE, reason))

    def _parse(self, line: str, task: FrameRequest | None) -> Message | None:
        """What a line says. Scripts of a scene may say what no session of ours does: then it is ended."""
        try:
            if not self._budget.spend(len(line)):
                raise InvalidEvent("it never stops talking")
            message = parse_message(line)
            if isinstance(message, Rendered | Failed) and task is not None:
                _require_task(message, task)
            return message
        except InvalidEvent as error:
            self._kill()
            raise SessionFailed(error.failure) from error

    def _failed(self, message: Failed, limits: SessionTimeouts, task: FrameRequest | None) -> SessionFailed:
        if task is None and self._in_script:
            self._left(limits)
        return SessionFailed(message.failure)

    def _deliver(self, *paths: Path) -> None:
        try:
            for path in paths:
                self._channel.deliver(path)
        except SessionEnded as error:
            raise self._ended(None) from error

    def _fetch(self, order: FrameRequest) -> None:
        for path in (order.folder, order.printed_to or order.log):
            with suppress(SessionEnded):  # what it has left is lost with it
                self._channel.fetch(path)

    def _ended(self, task: FrameRequest | None) -> SessionFailed:
        self.alive = False
        ended = self._channel.stop()
        words = (last_log_lines(task.log) if task else "") or last_log_lines(self._log)
        return SessionFailed(failure_of_exit(ended, words))

    def _kill(self) -> None:
        self.alive = False
        self._channel.stop()


def _require_task(message: Rendered | Failed, task: FrameRequest) -> None:
    """Raise InvalidEvent when the message is about another task than the one that was asked for."""
    if message.task_id not in (None, task.task_id):
        raise InvalidEvent("it speaks of another task")


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Path) else value
