"""The specification of a session's container: user, limits, mounts, and everything that is denied."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from docker.types import DeviceRequest, Mount, Ulimit

from renderctl.executors import LaunchSpec

#: User and group of sessions whose worker runs as root: an id that owns nothing.
UNPRIVILEGED_ID = 65532
#: Megabytes of /tmp and of /dev/shm; they count as memory.
_TMP_MB = 256
#: Share of the memory for containers; the rest is for the worker and the system.
_USABLE_SHARE = 0.9


@dataclass(frozen=True)
class ResourceLimits:
    """The resource limits of a container."""

    memory_mb: int | None = None  #: None: its share of the machine
    cpus: float | None = None  #: cores; None: its share
    pids: int = 2048
    scratch_mb: int = 20480  #: files below its scratch
    share: float = 1.0  #: share of the engine's machine

    def resolve(self, memory_bytes: int, cores: int) -> "ResourceLimits":
        """Return the limits with shares of the machine resolved to MB and cores; a share of 1 has no limit of cores."""
        memory_mb = self.memory_mb or max(64, int((memory_bytes >> 20) * _USABLE_SHARE * self.share))
        cpus = self.cpus or (cores * self.share if self.share < 1 else None)
        return replace(self, memory_mb=min(memory_mb, memory_bytes >> 20), cpus=min(cpus, cores) if cpus else None)


@dataclass(frozen=True)
class ContainerUser:
    """The user and group id of a container's processes."""

    uid: int
    gid: int

    def __str__(self) -> str:
        return f"{self.uid}:{self.gid}"


def container_options(launch: LaunchSpec, user: ContainerUser, environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the arguments of `create_container`."""
    return {
        "image": launch.image,
        "entrypoint": [launch.argv[0]],
        "command": list(launch.argv[1:]),
        "working_dir": str(launch.scratch),
        "user": str(user),
        "environment": dict(environment),
        "labels": dict(launch.labels),
        "stdin_open": True,
        "hostname": "session",
        "network_disabled": True,
        "healthcheck": {"test": ["NONE"]},
    }


def host_options(limits: ResourceLimits, mounts: list[Mount], gpus: tuple[str, ...]) -> dict[str, Any]:
    """Return the arguments of `create_host_config`. The engine's default seccomp profile stays active."""
    memory = (limits.memory_mb or 0) << 20
    return {
        "init": True,  # reaps orphans and forwards signals; when its child exits, the kernel kills all other processes
        "network_mode": "none",
        "ipc_mode": "private",
        "read_only": True,
        "tmpfs": {"/tmp": f"rw,nosuid,nodev,noexec,size={_TMP_MB}m,mode=1777"},
        "mounts": mounts,
        "cap_drop": ["ALL"],
        "privileged": False,
        "security_opt": ["no-new-privileges"],
        "pids_limit": limits.pids,
        "mem_limit": memory,
        "memswap_limit": memory,  # memory and swap together: no swap
        "shm_size": _TMP_MB << 20,
        "nano_cpus": round(limits.cpus * 1e9) if limits.cpus else None,
        "ulimits": [_ulimit("core", 0), _ulimit("fsize", limits.scratch_mb << 20)],
        "device_requests": _device_requests(gpus),
        "log_config": {"type": "none"},  # otherwise the engine stores all output
        "restart_policy": {"Name": "no"},
    }


def _ulimit(name: str, limit: int) -> Ulimit:
    return Ulimit(name=name, soft=limit, hard=limit)


def bind_mount(path: Path, *, read_only: bool) -> Mount:
    """Return a bind mount of an existing folder at the same path."""
    return Mount(str(path), str(path), type="bind", read_only=read_only, propagation="rprivate")


def volume(path: Path) -> Mount:
    """Return an anonymous volume at a path, for engines without our disk; it is removed with the container."""
    return Mount(str(path), None, type="volume")


def _device_requests(gpus: tuple[str, ...]) -> list[DeviceRequest]:
    if not gpus:
        return []
    selection = {"count": -1} if gpus == ("all",) else {"device_ids": list(gpus)}
    return [DeviceRequest(capabilities=[["gpu"]], **selection)]
