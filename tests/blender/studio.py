"""A Blender and its scenes, as the tests use them: one warm session for all that does not break it."""

import itertools
import json
import os
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import OpenImageIO as oiio

from renderctl.blender.events import Opened, Progress, Rendered
from renderctl.blender.find import Blender
from renderctl.blender.session import FrameRequest, RenderPlan, Session, SessionTimeouts
from renderctl.blender.templates import templates_dir
from renderctl.core.jobs import RenderOptions
from renderctl.executors import LaunchSpec, SessionProcess
from renderctl.executors.process import ProcessExecutor, SandboxOptions

#: As in scenes.py, which imports bpy.
EVIL = '"); import os; os.mkdir("hacked"); ("'
#: What makes the scenes of the tests beside it.
SCENES = Path(__file__).with_name("scenes.py")
LIMITS = SessionTimeouts(start_s=120.0, stall_s=60.0, frame_s=120.0)


@dataclass
class Studio:
    """A warm session of one Blender, and a folder to render to."""

    blender: Blender
    scenes: Path
    folder: Path
    writes: tuple[str, ...] = ()  #: folders that its sandbox lets it write to, beside its own
    progress: list[Progress] = field(default_factory=list)
    _session: Session | None = None
    _channel: SessionProcess | None = None
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    def scene(self, name: str) -> Path:
        return self.scenes / name / "scene.blend"

    @property
    def session(self) -> Session:
        if self._session is None or not self._session.alive:
            scratch = self.new_folder("session")
            log = scratch / "session.log"
            inputs = (templates_dir(), self.folder.parent)
            launch = LaunchSpec(self.blender.argv(), self.folder, log, self.blender.environment, inputs)
            self._channel = ProcessExecutor(self.folder / "drivers", sandbox=SandboxOptions(writes=self.writes)).start(
                launch
            )
            self._session = Session(self._channel, scratch, log=log)
            self._session.wait_started(LIMITS)
        return self._session

    @property
    def pid(self) -> int:
        assert self._channel is not None
        assert self._channel.pid is not None
        return self._channel.pid

    def inspect(self, scene: Path) -> dict[str, Any]:
        facts = self.session.inspect(scene, LIMITS)
        return {**json.loads(json.dumps(facts.model.as_document())), "files": [asdict(file) for file in facts.files]}

    def open(self, path: Path, plan: dict[str, Any] | None = None, /, **options: Any) -> Opened:
        return self.session.open(RenderPlan(path, RenderOptions(**options), **(plan or {})), LIMITS)

    def render(self, frame: int = 1, camera: str | None = None, limits: SessionTimeouts = LIMITS) -> Rendered:
        return self.render_order(self.order(frame, camera), limits)

    def render_order(self, order: FrameRequest, limits: SessionTimeouts = LIMITS) -> Rendered:
        return self.session.render(order, limits=limits, on_progress=self.progress.append, stop=threading.Event())

    def order(self, frame: int = 1, camera: str | None = None) -> FrameRequest:
        folder = self.new_folder("task")
        return FrameRequest(f"task-{folder.name}", frame, camera, folder, folder.with_suffix(".log"))

    def new_folder(self, name: str) -> Path:
        folder = self.folder / f"{name}-{next(self._numbers)}"
        folder.mkdir(parents=True)
        return folder

    def forget_logs(self) -> None:
        """End the session, and remove what it and others have printed."""
        self.close()
        for log in self.folder.rglob("*.log"):
            log.unlink()

    def close(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None


def build_scenes(blender: Blender, folder: Path, script: Path = SCENES) -> Path:
    """Have the Blender make its scenes in the folder."""
    argv: Sequence[str] = (str(blender.program), str(script), str(folder))
    if not blender.module:
        argv = (
            str(blender.program),
            "-b",
            "--factory-startup",
            "--python-exit-code",
            "1",
            "-P",
            str(script),
            "--",
            str(folder),
        )
    made = subprocess.run(
        argv, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONWARNINGS": "ignore"}
    )
    assert made.returncode == 0, made.stdout + made.stderr
    return folder


def pixels(path: Path) -> Any:
    """The pixels of an image, as an array of height, width, channels."""
    image = oiio.ImageBuf(str(path))
    return image.get_pixels(oiio.FLOAT)


def pixel_type(path: Path) -> str:
    """How a channel of an image is stored: `uint8`, `half`, `float`, …"""
    return str(oiio.ImageBuf(str(path)).spec().format)


def mean_colour(path: Path) -> tuple[float, float, float]:
    red, green, blue = pixels(path)[:, :, :3].mean(axis=(0, 1))
    return float(red), float(green), float(blue)
