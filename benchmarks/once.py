"""Where the time of one `render` of one tiny frame goes, phase after phase: what the farm adds to Blender once."""

import json
import os
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from benchmarks.overhead import bare
from benchmarks.timing import PYTHON, empty_folder, timed

_RUNS = 9
_TRACED = str(Path(__file__).with_name("traced_render.py"))
#: Each ends with the event of that name in `traced_render.py`, and begins where the one before it ends.
PHASES: Mapping[str, str] = {
    "blender started": "interpreter, settings, sandbox, until Blender is started",
    "imported": "imports, while Blender starts",
    "registered": "database opened, worker registered",
    "inspected": "Blender's start and its look at the scene, as far as they are waited for",
    "submitted": "files hashed and uploaded, job submitted",
    "opened": "scene opened as the job has it",
    "rendered": "first frame claimed and rendered",
    "published": "image checked, stored, task completed",
    "downloaded": "image put in place, job's document",
    "ended": "Blender, worker and process ended",
}


def main() -> None:
    with empty_folder() as folder:
        subprocess.run([PYTHON, "-m", "benchmarks.scenes", str(folder)], check=True, capture_output=True)
        scene = folder / "tiny.blend"
        environment = {"RENDERCTL_DATA_DIR": str(folder / "data"), "RENDERCTL_CONFIG": ""}
        runs = [_phases(scene, folder, environment) for _ in range(_RUNS + 1)][1:]  # the first sets the database up
        alone = statistics.median(timed(bare(scene, 1, folder), environment) for _ in range(_RUNS))
    print(f"one `render` of one tiny frame, median of {_RUNS}")
    for event, phase in PHASES.items():
        print(f"  {1e3 * statistics.median(run[event] for run in runs):7.0f} ms  {phase}")
    whole = statistics.median(sum(run.values()) for run in runs)
    print(f"  {1e3 * whole:7.0f} ms  all of it; one bare Blender: {1e3 * alone:.0f} ms")


def _phases(scene: Path, folder: Path, environment: Mapping[str, str]) -> dict[str, float]:
    """Seconds of each phase, by the event that ends it."""
    stamps_file = folder / "stamps.json"
    words = ["--quiet", "render", str(scene), "-f", "1", "-o", str(folder / "farm")]
    began = time.monotonic()
    _run([PYTHON, _TRACED, str(stamps_file), *words], environment)
    ended = time.monotonic()
    stamps = {**json.loads(stamps_file.read_text()), "ended": ended}
    moments = [began, *(stamps[event] for event in PHASES)]
    return dict(zip(PHASES, (end - begin for begin, end in pairwise(moments)), strict=True))


def _run(command: Sequence[str], environment: Mapping[str, str]) -> None:
    subprocess.run(command, env={**os.environ, **environment}, capture_output=True, check=True)
