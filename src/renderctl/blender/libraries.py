"""The system libraries that the bpy module needs, and the packages that bring them."""

import ctypes
import sys

from renderctl.blender.find import Blender
from renderctl.core.errors import LibraryMissing

#: Libraries that the bpy wheel does not bring (found by adding one at a time to a bare system), by Debian package.
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
#: What EEVEE and Workbench need besides.
OPENGL_LIBRARIES = {"libEGL.so.1": "libegl1"}


def missing_libraries(blender: Blender, *, drawing: bool = False) -> tuple[str, ...]:
    """The Debian packages that are missing for `blender` (`drawing`: to render with EEVEE and Workbench, too)."""
    if not sys.platform.startswith("linux"):
        return ()
    wanted = {**(BPY_LIBRARIES if blender.module else {}), **(OPENGL_LIBRARIES if drawing else {})}
    return tuple(package for library, package in wanted.items() if not _can_load(library))


def require_libraries(blender: Blender) -> None:
    """Raise LibraryMissing, naming the packages, unless `blender` can be started."""
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
