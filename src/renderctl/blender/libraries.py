"""The system libraries that the bpy module needs, and their Debian packages."""

import ctypes
import sys

from renderctl.blender.find import Blender
from renderctl.core.errors import LibraryMissing

#: Libraries that the bpy wheel does not include (found by adding one at a time to a minimal system) -> package.
BPY_LIBRARIES = {
    "libX11.so.6": "libx11-6",
    "libXrender.so.1": "libxrender1",
    "libXfixes.so.3": "libxfixes3",
    "libXi.so.6": "libxi6",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libSM.so.6": "libsm6",
    "libICE.so.6": "libice6",
    "libXext.so.6": "libxext6",
    "libGL.so.1": "libgl1",
}
#: Libraries that EEVEE and Workbench need in addition.
OPENGL_LIBRARIES = {"libEGL.so.1": "libegl1"}


def missing_libraries(blender: Blender, *, opengl: bool = False) -> tuple[str, ...]:
    """Return the Debian packages that are missing for `blender` (`opengl`: also for EEVEE and Workbench)."""
    if not sys.platform.startswith("linux"):
        return ()
    required = {**(BPY_LIBRARIES if blender.module else {}), **(OPENGL_LIBRARIES if opengl else {})}
    return tuple(package for library, package in required.items() if not _can_load(library))


def require_libraries(blender: Blender) -> None:
    """Raise LibraryMissing with the packages unless `blender` can be started."""
    missing = missing_libraries(blender)
    if missing:
        raise LibraryMissing(
            f"{blender.label} needs system libraries that are missing.",
            hint=f"On Debian and Ubuntu: sudo apt-get install --no-install-recommends {' '.join(missing)}",
        )


def _can_load(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
