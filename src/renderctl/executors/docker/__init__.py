"""Runs sessions in containers of a Docker-compatible engine. Only this package uses Docker's SDK."""

from renderctl.core.settings import ExecutorSettings
from renderctl.executors.docker.client import Engine
from renderctl.executors.docker.container_spec import ResourceLimits
from renderctl.executors.docker.executor import DockerExecutor
from renderctl.executors.docker.gpus import GpuPool

__all__ = ["open_executor"]


def open_executor(settings: ExecutorSettings, slots: int) -> DockerExecutor:
    """Return the executor of the settings for a worker of `slots` slots; it connects on first use."""
    limits = ResourceLimits(settings.memory_mb, settings.cpus, settings.pids, settings.scratch_mb, share=1 / slots)
    return DockerExecutor(Engine(settings.host), limits, GpuPool(settings.gpus, shared=settings.share_gpus))
