"""The ports of a farm: each opens the implementation that the settings name when it is first used."""

import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, cast

from renderctl.core.private_files import make_private_folder, restrict_to_owner

if TYPE_CHECKING:
    from pathlib import Path

    from renderctl.core.clocks import Clock
    from renderctl.core.settings import Settings
    from renderctl.farm import Farm


#: What the farm keeps in data_dir, in folders of its own.
_FOLDERS = ("cache", "incoming", "nodes", "scratch", "store", "thumbnails")


class Closable(Protocol):
    """What has to be closed in the end."""

    def close(self) -> object: ...


def open_farm(settings: "Settings", opened: "list[Closable] | None" = None) -> "Farm":
    """A farm of the implementations that the settings name; what needs closing is added to `opened`."""
    from renderctl.core.clocks import SystemClock
    from renderctl.farm import Farm

    with suppress(OSError):  # whoever needs it says so
        _make_folder(settings.data_dir)
    for name in _FOLDERS:
        restrict_to_owner(settings.data_dir / name)
    clock = SystemClock()
    closing: list[Closable] = opened if opened is not None else []
    return Farm(
        settings=settings,
        repository=cast(Any, LazyPort(partial(_repository, settings, clock), closing)),
        store=cast(Any, LazyPort(partial(_store, settings), [])),
        queue=cast(Any, LazyPort(partial(_queue, settings, clock), closing)),
        cache=cast(Any, LazyPort(partial(_cache, settings, clock), closing)),
        executor=cast(Any, LazyPort(partial(_executor, settings), closing)),
        images=cast(Any, LazyPort(partial(_images, settings), closing)),
        decoder=cast(Any, LazyPort(partial(_decoder, settings), closing)),
        clock=clock,
    )


class LazyPort:
    """A port that opens when it is first used."""

    def __init__(self, open_port: Callable[[], Any], opened: list[Closable]) -> None:
        self._open_port = open_port
        self._opened = opened
        self._port: Any = None
        self._opening = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        if self._port is None:
            with self._opening:
                if self._port is None:
                    self._port = self._open_port()
                    self._opened.append(self._port)
        return getattr(self._port, name)


def _repository(settings: "Settings", clock: "Clock") -> Any:
    from renderctl.repository import open_repository

    _make_data_dir(settings)
    limit_s = settings.worker.heartbeat_limit
    return open_repository(
        settings.database_url, now=clock.now, heartbeat_limit_s=limit_s, signing_keys=_signing_keys(settings)
    )


def _signing_keys(settings: "Settings") -> Any:
    """How the audit log is signed here, and where its end is remembered."""
    from renderctl.repository import HeadFile, KeyFile, SigningKeys

    head = HeadFile(settings.data_dir / "audit.head")
    if settings.audit.key is not None:
        key: bytes | None = settings.audit.key.encode()
        former = [key.encode() for key in settings.audit.former]
        return SigningKeys(lambda: key, head, lambda: former)
    if settings.database.url is None:
        file = KeyFile(settings.data_dir / "audit.key")
        return SigningKeys(file.key, head, file.former, file.replace)
    return SigningKeys(head=head)


def _store(settings: "Settings") -> Any:
    if settings.store.kind == "minio":
        from renderctl.stores.minio import MinioStore

        return MinioStore(settings.store)
    from renderctl.stores.local import LocalStore

    return LocalStore(settings.data_dir / "store")


def _queue(settings: "Settings", clock: "Clock") -> Any:
    if settings.queue.kind == "rabbitmq":
        from renderctl.queues.rabbitmq import RabbitQueue

        return RabbitQueue(settings.queue.url or "", clock)
    from renderctl.queues.sqlite import SqliteQueue

    _make_data_dir(settings)
    return SqliteQueue(settings.data_dir / "queue.db", clock)


def _cache(settings: "Settings", clock: "Clock") -> Any:
    if settings.cache.kind == "redis":
        from renderctl.caches.redis import RedisCache

        return RedisCache(settings.cache.url or "", clock)
    from renderctl.caches.sqlite import SqliteCache

    with suppress(OSError):  # a cache that can not be written is one that is away
        _make_folder(settings.data_dir)
    return SqliteCache(settings.data_dir / "cache.db", clock)


def _executor(settings: "Settings") -> Any:
    if settings.executor.kind == "docker":
        from renderctl.executors.docker import open_executor

        return open_executor(settings.executor, settings.worker.slots)
    from renderctl.executors.process import ProcessExecutor

    return ProcessExecutor(sandbox=_sandbox(settings))


def _sandbox(settings: "Settings") -> Any:
    """How wide sessions of this machine see it: nothing of the farm's own, nor of this user's config."""
    import platformdirs

    from renderctl.executors.process import SandboxOptions
    from renderctl.executors.sandbox_paths import ForbiddenPaths

    config_folder = platformdirs.user_config_path("renderctl", appauthor=False)
    secrets = (config_folder, *([settings.source] if settings.source else []))
    executor = settings.executor
    return SandboxOptions(
        ForbiddenPaths(settings.data_dir, settings.data_dir / "scratch", secrets),
        executor.reads,
        executor.writes,
        executor.memory_mb,
        executor.scratch_mb,
        executor.pids,
    )


def _images(settings: "Settings") -> Any:
    from renderctl.executors.docker.client import Engine
    from renderctl.executors.docker.images import DockerImages

    return DockerImages(Engine(settings.executor.host))


def _decoder(settings: "Settings") -> Any:
    from renderctl.decoder import Decoder

    return Decoder(settings.decoder)


def _make_data_dir(settings: "Settings") -> None:
    from renderctl.core.errors import StoreUnavailable

    try:
        _make_folder(settings.data_dir)
    except OSError as error:
        raise StoreUnavailable(
            f"The data folder {settings.data_dir} can not be made: {error.strerror or error}.",
            hint="Choose another with data_dir in the config, or RENDERCTL_DATA_DIR.",
        ) from error


def _make_folder(folder: "Path") -> None:
    """One that is there already is left as it is: it may be anything."""
    make_private_folder(folder)
