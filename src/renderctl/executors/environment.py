"""The environment of a session: what Blender and GPU drivers need, and nothing that could be a secret."""

import re
from collections.abc import Mapping
from pathlib import Path

_KEPT = re.compile(
    r"PATH|LD_LIBRARY_PATH|LANG|LC_\w+|TZ|OCIO|"
    r"(NVIDIA|CUDA|OPTIX|HIP|HSA|ROCR|GPU_DEVICE|ONEAPI|SYCL|ZE|UR|NEO|OCL|VK|LIBGL|MESA|GALLIUM|EGL|LP|INTEL)_\w+|"
    r"__(GL|GLX|EGL|NV)_\w+"
)
_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL")
#: Where drivers keep what they compiled: shared by all sessions, since the first frame costs many times more without.
_DRIVER_CACHES = {
    "MESA_SHADER_CACHE_DIR": "mesa",
    "__GL_SHADER_DISK_CACHE_PATH": "gl",
    "CUDA_CACHE_PATH": "cuda",
    "OPTIX_CACHE_PATH": "optix",
    "SYCL_CACHE_DIR": "sycl",
}


def session_environment(own: Mapping[str, str], scratch: Path, driver_caches: Path) -> dict[str, str]:
    """The minimal environment, from `own`, of a session that writes below `scratch`. Makes the folders it names.

    Raises OSError when they can not be made.
    """
    kept = {name: text for name, text in own.items() if _KEPT.fullmatch(name) and not _SECRET.search(name)}
    shared = {name: str(driver_caches / folder) for name, folder in _DRIVER_CACHES.items() if name not in kept}
    private = {"HOME": str(scratch / "home"), "TMPDIR": str(scratch / "tmp")}
    for folder in (*shared.values(), *private.values()):
        Path(folder).mkdir(parents=True, exist_ok=True)
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", **kept, **shared, **private}


def driver_caches_in(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The folders that the variables of a session name for its drivers."""
    return tuple(environment[name] for name in _DRIVER_CACHES if environment.get(name, "").startswith("/"))
