"""What a frame is rendered on: found out beforehand, never assumed."""

import ctypes
import sys
from typing import Any

import bpy

from inside.faults import MachineFault

#: Kinds of GPU, best first.
KINDS = ("OPTIX", "CUDA", "HIP", "METAL", "ONEAPI")


def choose_device(scene: Any, wanted: str, notes: list[str]) -> str:
    """Set up the device `wanted` (auto, cpu, optix, …) and say what it really is, such as `OPTIX: NVIDIA L4`.

    Raises MachineFault when it is not here: Cycles would render on the CPU and say nothing.
    """
    if scene.render.engine != "CYCLES":
        check_display_libraries()
        if wanted not in ("auto", "cpu"):
            notes.append(f"{wanted} is a device of Cycles; this engine draws with OpenGL.")
        return "OpenGL"
    if wanted == "cpu":
        return _cpu(scene)
    for kind in KINDS if wanted == "auto" else (wanted.upper(),):
        names = _gpus(kind)
        if names:
            scene.cycles.device = "GPU"
            return f"{kind}: {', '.join(names)}"
    if wanted == "auto":
        return _cpu(scene)
    raise MachineFault(f"There is no {wanted.upper()} device here ({_there()}).", whole_job=True)


def _cpu(scene: Any) -> str:
    preferences = _preferences()
    preferences.compute_device_type = "NONE"
    scene.cycles.device = "CPU"
    return "CPU"


def _preferences() -> Any:
    addon = bpy.context.preferences.addons.get("cycles")
    if addon is None:
        raise MachineFault("This Blender has no Cycles.", whole_job=True)
    return addon.preferences


def _gpus(kind: str) -> list[str]:
    """Switch to the GPUs of a kind, and name them; none leaves everything as it was."""
    preferences = _preferences()
    try:
        preferences.compute_device_type = kind
    except TypeError:  # not in this build
        return []
    preferences.refresh_devices()
    found = [device for device in preferences.get_devices_for_type(kind) if device.type == kind]
    for device in preferences.devices:
        device.use = device.type == kind
    return [device.name for device in found]


def all_devices() -> list[str]:
    """`CPU`, and the GPUs of each kind, such as `OPTIX: NVIDIA L4`."""
    return ["CPU", *(f"{kind}: {', '.join(names)}" for kind in KINDS if (names := _gpus(kind)))]


def _there() -> str:
    there = all_devices()[1:]
    return "; ".join(there) if there else "there is no GPU that Blender sees"


def check_display_libraries() -> None:
    """EEVEE and Workbench draw without a display, but not without libEGL: Blender would abort and take us along."""
    if not sys.platform.startswith("linux"):
        return
    for libraries, package in ((("libEGL.so.1",), "libegl1"), (("libGL.so.1", "libOpenGL.so.0"), "libgl1")):
        if not any(_loads(library) for library in libraries):
            raise MachineFault(
                f"EEVEE and Workbench need {libraries[0]}, which is not here; install the package {package}.",
                whole_job=True,
            )


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
