"""An executor whose Blender renders nothing: it speaks the session protocol in our own process, at once."""

import ast
import json
import queue
import re
import struct
import threading
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from renderctl.blender.events import PREFIX
from renderctl.core.errors import SessionEnded, Unreachable
from renderctl.executors import Executor, ExitStatus, LaunchSpec, SessionProcess
from renderctl.executors.images import RenderImage

SIZE = 4
#: Where FakeBlenders come from: nobody has to look for the Blenders of this machine.
IMAGE = RenderImage(
    "5.0.1", "fake:5.0.1", "sha256:fake", 1, datetime(2026, 1, 1, tzinfo=UTC), Path("/fake/blender"), module=False
)


def png(side: int = SIZE, note: bytes = b"") -> bytes:
    """A whole PNG of one colour; with a `note`, its bytes are like no other's."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = b"".join(b"\0" + b"\x80\x40\x20" * side for _ in range(side))
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    noted = chunk(b"tEXt", b"Comment\0" + note) if note else b""
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + noted
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


PNG = png()
Behaviour = Callable[["FakeBlender", Mapping[str, Any]], None]


@dataclass
class FakeExecutor(Executor):
    """Starts FakeBlenders; `behaviours` says what becomes of a frame that is not simply rendered."""

    sandboxed = True

    behaviours: dict[int, Behaviour] = field(default_factory=dict)
    refusal: Mapping[str, Any] | None = None  #: what the scene is refused with, as a `failed` event
    writes: bool = True  #: whether a frame leaves a file
    opens: bool = True  #: whether the scene is ever open
    gpus: tuple[str, ...] = ()  #: what there is to render on, beside the CPU
    size: tuple[int, int] = (SIZE, SIZE)  #: of the images, in pixels
    broken: str | None = None  #: why it can not be started
    looks: Callable[[Path, Path], Mapping[str, Any]] | None = None  #: a scene, the folder of its files -> its facts
    started: list["FakeBlender"] = field(default_factory=list)
    rendered: list[int] = field(default_factory=list)
    ordered: list[int] = field(default_factory=list)  #: frames that sessions were told to render
    gate: threading.Event = field(default_factory=threading.Event)  #: `held` frames wait for it

    def start(self, launch: LaunchSpec) -> SessionProcess:
        if self.broken is not None:
            raise Unreachable(self.broken)
        blender = FakeBlender(self)
        self.started.append(blender)
        return blender

    def check(self) -> str:
        return "no Blender at all"

    def images(self) -> Sequence[RenderImage]:
        return [IMAGE]

    def close(self) -> None:
        """There is nothing to let go of."""

    def behaviour(self, frame: int) -> Behaviour:
        return self.behaviours.get(frame, rendered)


class FakeBlender(SessionProcess):
    """One session."""

    def __init__(self, executor: FakeExecutor) -> None:
        self.executor = executor
        self.stopped = threading.Event()
        self.opened = 0
        self.idle = False  #: whether it uses no processor any more
        self.tried = 0  #: how often it was asked what it renders on
        self.waiting: queue.SimpleQueue[Mapping[str, Any]] = queue.SimpleQueue()  #: frames, one after the other
        self.is_held = False  #: by the one that it is at
        self._rendering = threading.Lock()
        self._busy_s = 0.0
        self._lines: queue.SimpleQueue[str | Exception | None] = queue.SimpleQueue()
        self.emit("started", version="5.0.1")

    @property
    def pid(self) -> int | None:
        return None

    def send(self, line: str) -> None:
        if self.stopped.is_set():
            raise SessionEnded
        order = json.loads(line)
        if "run" in order:
            self._run(Path(order["run"]))
        elif order.get("leave"):
            self.emit("left")
        elif order.get("quit"):
            self.end()
        elif "task" in order:
            self.executor.ordered.append(order["frame"])
            self.waiting.put(order)
            self.go_on()

    def receive(self, timeout_s: float) -> str | None:
        try:
            line = self._lines.get(timeout=timeout_s)
        except queue.Empty:
            return None
        if line is None:
            self._lines.put(None)
            raise SessionEnded
        if isinstance(line, Exception):
            raise line
        return line

    def busy_s(self) -> float:
        self._busy_s += 0.0 if self.idle else 1.0
        return self._busy_s

    def memory_mb(self) -> float:
        return 1.0

    def deliver(self, path: Path) -> None:
        """It sees what we see."""

    def fetch(self, path: Path) -> None:
        """It writes where we read."""

    def stop(self, grace_s: float = 0.0) -> ExitStatus:
        self.stopped.set()
        self._lines.put(None)
        return ExitStatus(None, signal=11)

    def emit(self, event: str, **values: Any) -> None:
        self._lines.put(PREFIX + json.dumps({"event": event, **values}))

    def print(self, line: str) -> None:
        """Chatter."""
        self._lines.put(line)

    def break_with(self, error: Exception) -> None:
        """Whoever listens meets an error that nobody has thought of."""
        self._lines.put(error)

    def end(self) -> None:
        """As a crash does."""
        self._lines.put(None)

    def go_on(self) -> None:
        """Render what waits, in its order, whoever has it go on."""
        with self._rendering:
            while not self.is_held and not self.stopped.is_set() and not self.waiting.empty():
                order = self.waiting.get()
                self.executor.behaviour(order["frame"])(self, order)

    def _run(self, path: Path) -> None:
        script = path.name
        if script == "inspect.py" and self.executor.looks is not None:
            self._look(path.read_text(encoding="utf-8"), self.executor.looks)
        elif script == "devices.py":
            self.tried += 1
            self.emit("devices", devices=["CPU", *self.executor.gpus])
            self.emit("left")
        elif script == "render.py":
            self.opened += 1
            if not self.executor.opens:
                return
            if self.executor.refusal is not None:
                self.emit("failed", **self.executor.refusal)
                self.emit("left")
                return
            self.emit(
                "ready",
                version="5.0.1",
                engine="CYCLES",
                device="CPU",
                width=self.executor.size[0],
                height=self.executor.size[1],
                extension="png",
                notes=[],
            )

    def _look(self, script: str, looks: Callable[[Path, Path], Mapping[str, Any]]) -> None:
        said = (re.search(rf"^{name}\((.*)\)$", script, re.M) for name in ("open_scene", "restrict_to"))
        scene, within = (ast.literal_eval(found[1]) for found in said if found is not None)
        within = within or Path(scene).parent  # where it lies all that it names counts
        if self.executor.refusal is not None:
            self.emit("failed", **self.executor.refusal)
        else:
            self.emit("facts", **looks(Path(scene), Path(within)))
        self.emit("left")


def rendered(blender: FakeBlender, order: Mapping[str, Any], content: bytes = PNG, *, seconds: float = 0.001) -> None:
    """The frame is done at once; it is said to have taken `seconds`."""
    files = []
    if blender.executor.writes:
        path = Path(order["folder"]) / f"{order['frame']:04d}.png"
        try:
            path.write_bytes(content)
        except FileNotFoundError:
            if not blender.stopped.is_set():
                raise
            return  # it was ended meanwhile, and its folder is gone
        files = [{"path": str(path), "name": path.name}]
    blender.executor.rendered.append(order["frame"])
    blender.emit("done", task=order["task"], files=files, seconds=seconds, memory_mb=1.0)


def truncated(blender: FakeBlender, order: Mapping[str, Any]) -> None:
    """A full disk: the file is cut off, and Blender says that all is well."""
    rendered(blender, order, PNG[:-20])


def long(blender: FakeBlender, order: Mapping[str, Any]) -> None:
    """A frame of half a minute."""
    rendered(blender, order, seconds=30.0)


def crashed(blender: FakeBlender, order: Mapping[str, Any]) -> None:
    """SIGSEGV."""
    blender.end()


def hung(blender: FakeBlender, order: Mapping[str, Any]) -> None:
    """Neither a word nor any use of the processor."""
    blender.idle = blender.is_held = True


def held(blender: FakeBlender, order: Mapping[str, Any]) -> None:
    """Rendered once the test opens the gate."""

    def later() -> None:
        blender.executor.gate.wait(20)
        if not blender.stopped.is_set():
            rendered(blender, order)
            blender.is_held = False
            blender.go_on()

    blender.is_held = True
    threading.Thread(target=later, daemon=True).start()


def failing(fault: str, reason: str, *, whole_job: bool = False) -> Behaviour:
    """Blender says that it can not be done."""

    def behaviour(blender: FakeBlender, order: Mapping[str, Any]) -> None:
        blender.emit("failed", task=order["task"], fault=fault, reason=reason, whole_job=whole_job)

    return behaviour


def once(first: Behaviour, then: Behaviour = rendered) -> Behaviour:
    """The first time so, afterwards otherwise."""
    calls: list[int] = []

    def behaviour(blender: FakeBlender, order: Mapping[str, Any]) -> None:
        calls.append(1)
        (first if len(calls) == 1 else then)(blender, order)

    return behaviour
