"""Selecting the device that renders; it is verified, never assumed."""

import ctypes
import sys
from typing import Any

import bpy

from session_lib.faults import MachineFault

#: GPU backends of Cycles, best first.
KINDS = ("OPTIX", "CUDA", "HIP", "METAL", "ONEAPI")


def choose_device(scene: Any, requested: str, notes: list[str]) -> str:
    """Enable the requested device (auto, cpu, optix, …) and return the actual one, such as `OPTIX: NVIDIA L4`.

    Raises MachineFault if it is missing: Cycles would silently render on the CPU.
    """
    if scene.render.engine != "CYCLES":
        check_display_libraries()
        if requested not in ("auto", "cpu"):
            notes.append(f"{requested} is a device of Cycles; this engine renders with OpenGL.")
        return "OpenGL"
    if requested == "cpu":
        return _cpu(scene)
    for kind in KINDS if requested == "auto" else (requested.upper(),):
        names = _enable_gpus(kind)
        if names:
            scene.cycles.device = "GPU"
            return f"{kind}: {', '.join(names)}"
    if requested == "auto":
        return _cpu(scene)
    raise MachineFault(f"There is no {requested.upper()} device here ({_available()}).", whole_job=True)


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


def _enable_gpus(kind: str) -> list[str]:
    """Enable the GPUs of a backend and return their names; without any, nothing changes."""
    preferences = _preferences()
    try:
        preferences.compute_device_type = kind
    except TypeError:  # not part of this build
        return []
    preferences.refresh_devices()
    gpus = [device for device in preferences.get_devices_for_type(kind) if device.type == kind]
    for device in preferences.devices:
        device.use = device.type == kind
    return [device.name for device in gpus]


def all_devices() -> list[str]:
    """Return `CPU` and the GPUs of each backend, such as `OPTIX: NVIDIA L4`."""
    return ["CPU", *(f"{kind}: {', '.join(names)}" for kind in KINDS if (names := _enable_gpus(kind)))]


def _available() -> str:
    devices = all_devices()[1:]
    return "; ".join(devices) if devices else "Blender sees no GPU"


def check_display_libraries() -> None:
    """Require libEGL and libGL, without which Blender aborts in EEVEE and Workbench. Raises MachineFault."""
    if not sys.platform.startswith("linux"):
        return
    for libraries, package in ((("libEGL.so.1",), "libegl1"), (("libGL.so.1", "libOpenGL.so.0"), "libgl1")):
        if not any(_can_load(library) for library in libraries):
            raise MachineFault(
                f"EEVEE and Workbench need {libraries[0]}, which is missing; install the package {package}.",
                whole_job=True,
            )


def _can_load(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
