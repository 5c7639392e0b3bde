"""What a container costs: its start to `ready` beside a process's, and 24 short frames in it beside one bare Blender.

`python -m tests.services -- python -m benchmarks containers`. The image has the version of the bpy module beside us.
"""

import shutil
import statistics
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from benchmarks.overhead import bare
from benchmarks.timing import PYTHON, empty_folder, timed
from renderctl.blender.session import FrameRequest, RenderPlan, SessionTimeouts
from renderctl.core.settings import ExecutorSettings, Settings
from renderctl.farm.blenders import known_blenders, start_session
from renderctl.farm.scratch import scratch_of
from renderctl.wiring import open_farm
from tests.services import DockerEngine
from tests.services.fixtures import built_image, url_of

_FRAMES, _RUNS = 24, 3


@dataclass(frozen=True)
class Taken:
    """Seconds of one session."""

    ready: float
    frames: float
    whole: float


def main() -> None:
    host = url_of(DockerEngine)
    built_image(host, metadata.version("bpy"))
    executors = {"process": ExecutorSettings("process"), "docker": ExecutorSettings("docker", host=host)}
    with empty_folder() as folder:
        subprocess.run([PYTHON, "-m", "benchmarks.scenes", str(folder)], check=True, capture_output=True)
        model = folder / "model"
        model.mkdir()
        shutil.copy(folder / "mid.blend", model)
        farms = {kind: open_farm(Settings(folder / kind, executor=each)) for kind, each in executors.items()}
        taken: dict[str, list[Taken]] = {kind: [] for kind in farms}
        alone: list[float] = []
        for run in range(_RUNS + 1):  # the first is not counted
            seconds = timed(bare(model / "mid.blend", _FRAMES, folder), {})
            found = {kind: _rendered(farm, model) for kind, farm in farms.items()}
            if run:
                alone.append(seconds)
                for kind in farms:
                    taken[kind].append(found[kind])
        _tell(alone, taken)


def _rendered(farm: Any, model: Path) -> Taken:
    """All frames in one session, as a slot has them rendered."""
    limits, never = SessionTimeouts(), threading.Event()
    blender = known_blenders(farm)[0]
    with scratch_of(farm, "bench") as scratch:
        began = time.perf_counter()
        session = start_session(farm, blender, scratch / "session", (model,))
        session.open(RenderPlan(model / "mid.blend"), limits)
        ready = time.perf_counter()
        for frame in range(1, _FRAMES + 1):
            name = f"frame-{frame}"
            (scratch / "session" / name).mkdir()
            log = scratch / "session" / f"{name}.log"
            log.touch()
            order = FrameRequest(name, frame, None, scratch / "session" / name, log)
            session.render(order, limits=limits, stop=never)
        done = time.perf_counter()
        session.close()
        over = time.perf_counter()
    return Taken(ready - began, done - ready, over - began)


def _tell(alone: Sequence[float], taken: dict[str, list[Taken]]) -> None:
    print(f"a scene of 480,000 faces (160x90, 4 samples), {_FRAMES} frames, medians of {_RUNS} runs, seconds")
    print(f"  {'one bare Blender':18} {statistics.median(alone):7.3f} in all")
    for kind, each in taken.items():
        ready, frames, whole = (
            statistics.median(getattr(one, name) for one in each) for name in ("ready", "frames", "whole")
        )
        print(f"  {kind:18} {whole:7.3f} in all, {ready:.3f} to ready, {frames / _FRAMES * 1e3:.0f} ms a frame")
    ratio = statistics.median(one.whole / other for one, other in zip(taken["docker"], alone, strict=True))
    print(f"  containers / bare: {ratio:.3f} (aim 1.10)")
