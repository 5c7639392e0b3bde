"""What a sandbox costs: to start a program in it, and for each frame that a Blender renders in it."""

import os
import resource
import statistics
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.timing import PYTHON, empty_folder
from renderctl.blender.find import find_blenders
from renderctl.blender.scripts import RenderPlan
from renderctl.blender.session import FrameRequest, Session, SessionTimeouts
from renderctl.blender.templates import templates_dir
from renderctl.executors import LaunchSpec, SessionProcess
from renderctl.executors.environment import session_environment
from renderctl.executors.process import ProcessExecutor, SandboxOptions, spawn
from renderctl.executors.process_tree import ProcessTree
from renderctl.executors.running_process import LocalSessionProcess, SessionLimits
from renderctl.executors.sandbox import Sandbox, landlock_version
from renderctl.executors.sandbox_paths import ForbiddenPaths, gpu_reads, program_paths

_STARTS, _SESSIONS, _FRAMES = 60, 4, 100
Start = Callable[[LaunchSpec], SessionProcess]


def main() -> None:
    with empty_folder() as folder:
        print(f"Landlock {landlock_version()}")
        _starts(folder)
        _frames(folder)


def _starts(folder: Path) -> None:
    """A program that does nothing, with what a Blender is let read."""
    blender = find_blenders([], cache_dir=folder)[0]
    reads = (*program_paths(str(blender.program)), *gpu_reads(), str(templates_dir()))
    sandbox = Sandbox(
        reads, (str(folder / "scratch"),), forbidden=ForbiddenPaths(folder / "data", folder / "data/scratch")
    )
    taken: dict[str, list[float]] = {"bare": [], "sandbox": [], "to describe it": []}
    used: dict[str, list[float]] = {"bare": [], "sandbox": []}
    for _ in range(_STARTS):
        taken["to describe it"].append(_timed_ms(lambda: sandbox.wrap(("/bin/true",))))
        for name, command in {"bare": ("/bin/true",), "sandbox": sandbox.wrap(("/bin/true",))}.items():
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            taken[name].append(_timed_ms(lambda: subprocess.run(command, check=True)))  # noqa: B023
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            used[name].append((after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1e3)
    for name, ms in taken.items():
        print(f"  {name:18} {statistics.median(ms):6.1f} ms  (min {min(ms):.1f}, max {max(ms):.1f}, n {len(ms)})")
    adds = sum(statistics.median(taken[name]) for name in ("sandbox", "to describe it"))
    cpu = statistics.median(used["sandbox"]) - statistics.median(used["bare"])
    print(
        f"  once per session: a sandbox adds {adds - statistics.median(taken['bare']):.1f} ms (aim 30), "
        f"{cpu:.1f} ms of it of processor"
    )


def _frames(folder: Path) -> None:
    """Warm sessions of the same Blender with a tiny scene, in turn."""
    subprocess.run([PYTHON, "-m", "benchmarks.scenes", str(folder)], check=True, capture_output=True)
    options = SandboxOptions(ForbiddenPaths(folder / "data"), scratch_mb=20480, processes=2048)
    starts: dict[str, Start] = {
        "bare": _bare,
        "sandbox": ProcessExecutor(folder / "drivers", sandbox=options).start,
    }
    ready: dict[str, list[float]] = {name: [] for name in starts}
    frame: dict[str, list[float]] = {name: [] for name in starts}
    for run in range(_SESSIONS + 1):
        for name, start in starts.items():
            to_ready, frames = _session(start, folder, folder / f"{name}-{run}")
            if run:  # the first of each is not counted
                ready[name].append(to_ready)
                frame[name] += frames
    for name in starts:
        print(
            f"  {name:18} ready in {statistics.median(ready[name]):.0f} ms (min {min(ready[name]):.0f}), "
            f"a frame {statistics.median(frame[name]):.2f} ms (min {min(frame[name]):.2f})"
        )
    adds = statistics.median(frame["sandbox"]) - statistics.median(frame["bare"])
    print(f"  per frame: a sandbox adds {adds:.2f} ms (aim 2)")


def _session(start: Start, folder: Path, scratch: Path) -> tuple[float, list[float]]:
    """Milliseconds until the scene was open, and those of each frame."""
    blender, limits, never = find_blenders([], cache_dir=folder)[0], SessionTimeouts(), threading.Event()
    scratch.mkdir()
    scene = folder / "tiny.blend"
    launch = LaunchSpec(blender.argv(), scratch, folder / "log", blender.environment, (templates_dir(), scene))
    began = time.perf_counter()
    session = Session(start(launch), scratch)
    session.open(RenderPlan(scene), limits)
    ready = (time.perf_counter() - began) * 1e3
    frames = []
    for number in range(1, _FRAMES + 1):
        images = scratch / f"frame-{number}"
        images.mkdir()
        order = FrameRequest(str(number), number, None, images, scratch / f"{number}.log")
        frames.append(_timed_ms(lambda: session.render(order, limits=limits, stop=never)))  # noqa: B023
    session.close()
    return ready, frames


def _bare(launch: LaunchSpec) -> SessionProcess:
    """The same session without a sandbox, and without anybody who watches it."""
    environment = {**session_environment(os.environ, launch.scratch, launch.scratch / "drivers"), **launch.environment}
    with launch.log.open("ab") as log:
        process = spawn(launch.argv, launch, environment, log.fileno())
    return LocalSessionProcess(
        process, ProcessTree(process.pid, ("TMPDIR", environment["TMPDIR"])), SessionLimits(launch.scratch)
    )


def _timed_ms(do: Callable[[], object]) -> float:
    began = time.perf_counter()
    do()
    return (time.perf_counter() - began) * 1e3


if __name__ == "__main__":
    main()
