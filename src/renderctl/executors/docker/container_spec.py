"""The cage: what a container is given, and all that it is not."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from docker.types import DeviceRequest, Mount, Ulimit

from renderctl.executors import LaunchSpec

#: Who sessions are where the worker itself is root: a user that owns nothing.
NOBODY = 65532
#: Megabytes of /tmp and /dev/shm; they count as memory.
_TMP_MB = 256
#: The rest of the memory is the worker's and the system's.
_USABLE = 0.9


@dataclass(frozen=True)
class ResourceLimits:
    """How much a container may have."""

    memory_mb: int | None = None  #: None: its share
    cpus: float | None = None  #: None: its share
    pids: int = 2048
    scratch_mb: int = 20480  #: of files below its scratch
    share: float = 1.0  #: of what the engine's machine has

    def on(self, memory_bytes: int, cores: int) -> "ResourceLimits":
        """With its share of a machine in figures; an only container gets every core."""
        memory_mb = self.memory_mb or max(64, int((memory_bytes >> 20) * _USABLE * self.share))
        cpus = self.cpus or (cores * self.share if self.share < 1 else None)
        return replace(self, memory_mb=min(memory_mb, memory_bytes >> 20), cpus=min(cpus, cores) if cpus else None)


@dataclass(frozen=True)
class ContainerUser:
    """Who a container's processes are."""

    uid: int
    gid: int

    def __str__(self) -> str:
        return f"{self.uid}:{self.gid}"


def container_options(launch: LaunchSpec, tenant: ContainerUser, environment: Mapping[str, str]) -> dict[str, Any]:
    """What is created, for `create_container`."""
    return {
        "image": launch.image,
        "entrypoint": [launch.argv[0]],
        "command": list(launch.argv[1:]),
        "working_dir": str(launch.scratch),
        "user": str(tenant),
        "environment": dict(environment),
        "labels": dict(launch.labels),
        "stdin_open": True,
        "hostname": "session",
        "network_disabled": True,
        "healthcheck": {"test": ["NONE"]},
    }


def host_options(bars: ResourceLimits, mounts: list[Mount], gpus: tuple[str, ...]) -> dict[str, Any]:
    """What bars it in, for `create_host_config`. The engine's own seccomp profile holds, as always."""
    memory = (bars.memory_mb or 0) << 20
    return {
        "init": True,  # reaps the orphans, passes on signals; when its child ends, the kernel ends all others
        "network_mode": "none",
        "ipc_mode": "private",
        "read_only": True,
        "tmpfs": {"/tmp": f"rw,nosuid,nodev,noexec,size={_TMP_MB}m,mode=1777"},
        "mounts": mounts,
        "cap_drop": ["ALL"],
        "privileged": False,
        "security_opt": ["no-new-privileges"],
        "pids_limit": bars.pids,
        "mem_limit": memory,
        "memswap_limit": memory,  # memory and swap together: no swap
        "shm_size": _TMP_MB << 20,
        "nano_cpus": round(bars.cpus * 1e9) if bars.cpus else None,
        "ulimits": [_ulimit("core", 0), _ulimit("fsize", bars.scratch_mb << 20)],
        "device_requests": _device_requests(gpus),
        "log_config": {"type": "none"},  # else the engine keeps all that is said on its own disk
        "restart_policy": {"Name": "no"},
    }


def _ulimit(name: str, most: int) -> Ulimit:
    return Ulimit(name=name, soft=most, hard=most)


def bind_mount(path: Path, *, read_only: bool) -> Mount:
    """A folder of ours, at the same place inside. It has to be there."""
    return Mount(str(path), str(path), type="bind", read_only=read_only, propagation="rprivate")


def volume(path: Path) -> Mount:
    """A place of the container's own, where the engine does not see ours. It goes with the container."""
    return Mount(str(path), None, type="volume")


def _device_requests(gpus: tuple[str, ...]) -> list[DeviceRequest]:
    if not gpus:
        return []
    which = {"count": -1} if gpus == ("all",) else {"device_ids": list(gpus)}
    return [DeviceRequest(capabilities=[["gpu"]], **which)]
