"""The environment of a session: variables that Blender and GPU drivers need, and no secrets."""

import re
from collections.abc import Mapping
from pathlib import Path

_ALLOWED = re.compile(
    r"PATH|LD_LIBRARY_PATH|LANG|LC_\w+|TZ|OCIO|"
    r"(NVIDIA|CUDA|OPTIX|HIP|HSA|ROCR|GPU_DEVICE|ONEAPI|SYCL|ZE|UR|NEO|OCL|VK|LIBGL|MESA|GALLIUM|EGL|LP|INTEL)_\w+|"
    r"__(GL|GLX|EGL|NV)_\w+"
)
_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL")
#: Caches of compiled shaders and kernels, shared by all sessions: without them the first frame takes many times longer.
_DRIVER_CACHES = {
    "MESA_SHADER_CACHE_DIR": "mesa",
    "__GL_SHADER_DISK_CACHE_PATH": "gl",
    "CUDA_CACHE_PATH": "cuda",
    "OPTIX_CACHE_PATH": "optix",
    "SYCL_CACHE_DIR": "sycl",
}


def session_environment(own: Mapping[str, str], scratch: Path, driver_caches: Path) -> dict[str, str]:
    """Return the minimal environment of a session with this scratch, from `own`. Creates the folders that it names.

    Raises OSError if they cannot be created.
    """
    allowed = {name: value for name, value in own.items() if _ALLOWED.fullmatch(name) and not _SECRET.search(name)}
    shared = {name: str(driver_caches / folder) for name, folder in _DRIVER_CACHES.items() if name not in allowed}
    private = {"HOME": str(scratch / "home"), "TMPDIR": str(scratch / "tmp")}
    for folder in (*shared.values(), *private.values()):
        Path(folder).mkdir(parents=True, exist_ok=True)
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", **allowed, **shared, **private}


def driver_caches_in(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the driver caches that the environment names."""
    return tuple(environment[name] for name in _DRIVER_CACHES if environment.get(name, "").startswith("/"))
