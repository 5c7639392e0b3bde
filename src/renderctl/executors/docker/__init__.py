"""Sessions in containers of a Docker engine, or of one that speaks its language. The SDK is used here alone."""

from renderctl.core.settings import ExecutorSettings
from renderctl.executors.docker.client import Engine
from renderctl.executors.docker.container_spec import ResourceLimits
from renderctl.executors.docker.executor import DockerExecutor
from renderctl.executors.docker.gpus import Gpus

__all__ = ["open_executor"]


def open_executor(settings: ExecutorSettings, slots: int) -> DockerExecutor:
    """The executor that the settings name, for a worker of so many slots; it connects when it is first used."""
    bars = ResourceLimits(settings.memory_mb, settings.cpus, settings.pids, settings.scratch_mb, share=1 / slots)
    return DockerExecutor(Engine(settings.host), bars, Gpus(settings.gpus, shared=settings.share_gpus))
