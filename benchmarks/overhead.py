"""What the farm adds to one bare Blender process: per tiny frame, once per render, and on a scene of middling size."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

from benchmarks.timing import PYTHON, empty_folder, in_turn, timed

_BARE = str(Path(__file__).with_name("bare_blender.py"))
_FEW, _MANY = 1, 201
_MID_FRAMES = 60


def main() -> None:
    with empty_folder() as folder:
        subprocess.run([PYTHON, "-m", "benchmarks.scenes", str(folder)], check=True, capture_output=True)
        environment = {"RENDERCTL_DATA_DIR": str(folder / "data"), "RENDERCTL_CONFIG": ""}
        timed(_farm(folder / "tiny.blend", 1, folder), environment)  # sets the database up
        _tiny(folder, environment)
        _mid(folder, environment)


def _tiny(folder: Path, environment: dict[str, str]) -> None:
    scene = folder / "tiny.blend"
    taken = in_turn(
        {
            "bare, few": bare(scene, _FEW, folder),
            "farm, few": _farm(scene, _FEW, folder),
            "bare, many": bare(scene, _MANY, folder),
            "farm, many": _farm(scene, _MANY, folder),
        },
        runs=5,
        environment=environment,
    )
    frames = _MANY - _FEW
    bare_ms = (taken["bare, many"].median - taken["bare, few"].median) / frames * 1e3
    farm_ms = (taken["farm, many"].median - taken["farm, few"].median) / frames * 1e3
    print(f"tiny frames (64x64, 1 sample), {_FEW} and {_MANY} of them")
    for name, timing in taken.items():
        print(f"  {name:12} {timing}")
    print(
        f"  per frame: bare {bare_ms:.1f} ms, farm {farm_ms:.1f} ms: the farm adds {farm_ms - bare_ms:.1f} ms (aim 15)"
    )
    once = taken["farm, few"].median - taken["bare, few"].median
    print(f"  once per render: the farm adds {once:.2f} s (aim 1.0)")


def _mid(folder: Path, environment: dict[str, str]) -> None:
    scene = folder / "mid.blend"
    taken = in_turn(
        {"bare": bare(scene, _MID_FRAMES, folder), "farm": _farm(scene, _MID_FRAMES, folder)},
        runs=3,
        environment=environment,
    )
    cold = sum(timed(bare(scene, 1, folder), environment) for _ in range(5)) / 5
    print(f"a scene of 480,000 faces (160x90, 4 samples), {_MID_FRAMES} frames")
    for name, timing in taken.items():
        print(f"  {name:12} {timing}")
    print(f"  farm / bare: {taken['farm'].median / taken['bare'].median:.3f} (aim 1.05)")
    warm = taken["farm"].median / _MID_FRAMES
    print(f"  one process per frame: {cold:.2f} s a frame, {cold / warm:.1f} times the farm's {warm:.2f} s")


def bare(scene: Path, frames: int, folder: Path) -> Sequence[str]:
    """The command of one bare Blender that renders so many frames."""
    (folder / "bare").mkdir(exist_ok=True)
    return [PYTHON, _BARE, str(scene), "1", str(frames), str(folder / "bare")]


def _farm(scene: Path, frames: int, folder: Path) -> Sequence[str]:
    command = [PYTHON, "-m", "renderctl", "--quiet", "render", str(scene), "-f", f"1-{frames}"]
    return [*command, "-o", str(folder / "farm")]
