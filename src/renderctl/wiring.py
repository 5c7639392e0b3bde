"""Settings become a farm, and verbs are bound to it: the only module that names implementations.

Everything is imported when it is first used, so that `--help` and a cached status pay for nothing else.
"""

import getpass
import importlib
import os
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from renderctl.actors import Actor
    from renderctl.client.connection import ServerConnection
    from renderctl.clocks import Clock
    from renderctl.settings import Settings

#: Where each verb lives, `module:function` below `renderctl.farm`, and what one has to be allowed to use it: a row of
#: `renderctl.permissions`. Those without one touch this machine alone, and take no actor.
VERBS: Mapping[str, tuple[str, str | None]] = {
    "add_model": ("offering:add_model", "model.upload"),
    "attempt_log": ("tasks:attempt_log", "job.logs"),
    "attempts": ("tasks:attempts", "job.see"),
    "build_image": ("images:build_image", None),
    "cancel": ("control:cancel", "job.cancel"),
    "collect": ("collect:collect", "farm.collect"),
    "doctor": ("doctor:doctor", "farm.check"),
    "download": ("download:download", "job.download"),
    "drain_worker": ("workers:drain_worker", "worker.steer"),
    "follow": ("logs:follow", "job.logs"),
    "jobs": ("status:jobs", "job.see"),
    "links": ("download:links", "job.download"),
    "list_images": ("images:list_images", None),
    "list_models": ("models:list_models", "model.see"),
    "list_workers": ("workers:list_workers", "worker.see"),
    "log_follower": ("logs:log_follower", "job.logs"),
    "logs": ("logs:logs", "job.logs"),
    "measure": ("measure:measure", "farm.measure"),
    "model_of": ("upload:model_of", "model.see"),
    "open_output": ("outputs:open_output", "job.download"),
    "outputs": ("outputs:outputs", "job.see"),
    "part_of": ("receiving:part_of", "model.upload"),
    "pause": ("control:pause", "job.pause"),
    "priority": ("control:priority", "job.priority"),
    "pull_image": ("images:pull_image", None),
    "remove_image": ("images:remove_image", None),
    "promote": ("receiving:promote", "model.upload"),
    "remove_jobs": ("remove:remove_jobs", "job.remove"),
    "remove_model": ("models:remove_model", "model.remove"),
    "render": ("render:render", "job.submit"),
    "resume": ("control:resume", "job.resume"),
    "resume_worker": ("workers:resume_worker", "worker.steer"),
    "retry": ("control:retry", "job.retry"),
    "select_jobs": ("remove:select_jobs", "job.remove"),
    "show_model": ("models:show_model", "model.see"),
    "start_ahead": ("standby:start_ahead", None),
    "status": ("status:status", "job.see"),
    "submit": ("submit:submit", "job.submit"),
    "sweep_here": ("sweep:sweep_here", "farm.sweep"),
    "task_status": ("tasks:task_status", "job.see"),
    "tasks": ("tasks:tasks", "job.see"),
    "upload": ("upload:upload", "model.upload"),
    "wanted_files": ("receiving:wanted_files", "model.upload"),
    "watch": ("waiting:watch", "job.see"),
    "worker_for": ("work:worker_for", "worker.run"),
    "add_first_admin": ("people.users:add_first_admin", "user.add"),
    "add_project": ("people.projects:add_project", "project.change"),
    "add_user": ("people.users:add_user", "user.add"),
    "audit": ("audit:audit", "audit.see"),
    "create_token": ("people.tokens:create_token", "token.create"),
    "disable_user": ("people.users:disable_user", "user.disable"),
    "enable_user": ("people.users:enable_user", "user.disable"),
    "follow_audit": ("audit:follow_audit", "audit.see"),
    "invite": ("people.users:invite", "user.add"),
    "join_project": ("people.projects:join_project", "project.change"),
    "leave_project": ("people.projects:leave_project", "project.change"),
    "list_projects": ("people.projects:list_projects", "project.see"),
    "list_tokens": ("people.tokens:list_tokens", "token.see"),
    "list_users": ("people.users:list_users", "user.see"),
    "revoke_token": ("people.tokens:revoke_token", "token.revoke"),
    "set_password": ("people.users:set_password", "user.password"),
    "set_pools": ("people.projects:set_pools", "project.change"),
    "set_role": ("people.users:set_role", "user.role"),
    "verify_audit": ("audit:verify_audit", "audit.see"),
    "whoami": ("people.users:whoami", "self.see"),
}


class Connection:
    """The verbs, bound to a farm and to who is using it."""

    def __init__(self, settings: "Settings", actor: "Actor", farm: Any = None) -> None:
        self.settings = settings
        self.actor = actor
        self._opened: list[Any] = []
        if farm is not None:
            self.__dict__["farm"] = farm

    def acting(self, actor: "Actor") -> "Connection":
        """The verbs of the same farm for somebody else."""
        return Connection(self.settings, actor, self.farm)

    def __getattr__(self, verb: str) -> Callable[..., Any]:
        if verb not in VERBS:
            raise AttributeError(verb)
        place, action = VERBS[verb]
        module, _, function = place.partition(":")
        bound = getattr(importlib.import_module(f"renderctl.farm.{module}"), function)
        return partial(bound, self.farm, actor=self.actor) if action else partial(bound, self.farm)

    @property
    def farm(self) -> Any:
        """The farm of the settings; its parts open when they are first used."""
        if "farm" not in self.__dict__:
            self.__dict__["farm"] = open_farm(self.settings, self._opened)
        return self.__dict__["farm"]

    def upgrade_database(self) -> str:
        """Bring the database to the revision that this renderctl needs; that revision. Raises DatabaseUnavailable."""
        from renderctl.repository.engines import open_engine
        from renderctl.repository.migrations import upgrade

        engine = open_engine(self.settings.database_url, patient=True)
        try:
            return upgrade(engine)
        finally:
            engine.dispose()

    def close(self) -> None:
        """Let go of what was opened."""
        while self._opened:
            self._opened.pop().close()


def connect(config: Path | None = None, *, direct: bool = False) -> "Connection | ServerConnection":
    """The verbs for this machine's config and user: through a server if there is one, unless `direct`.

    Raises BadSettings.
    """
    from renderctl.actors import local_actor

    settings = read_settings(config)
    here = Connection(settings, local_actor(_user(), os.uname().nodename))
    login = None if direct else _login(settings)
    if login is None:
        return here
    from renderctl.client.api import Api
    from renderctl.client.connection import ServerConnection

    return ServerConnection(settings, here.farm, Api(*login), here)


def log_in(url: str, *, token: str | None = None, user: str | None = None, password: str | None = None) -> Any:
    """Keep a token of a server for all commands to come: see `renderctl.client.login`."""
    from renderctl.client.login import log_in

    return log_in(_login_file(), url, token=token, user=user, password=password)


def log_out() -> str | None:
    """Forget the server and its token; its address."""
    from renderctl.client.login import log_out

    return log_out(_login_file())


def _login(settings: "Settings") -> tuple[str, str | None] | None:
    """The server to go through, and the token for it: that of the config, else that of `login`.

    Where the config names services, these are used: a node's config is not overruled by who has logged in on it.
    """
    file = _login_file()
    if settings.server.url is None and (settings.names_services or not file.exists()):
        return None
    if settings.server.url is not None and settings.server.token is not None:
        return settings.server.url, settings.server.token
    from renderctl.client.keeping import kept_login

    kept = kept_login(file)
    if settings.server.url is None:
        return (kept.url, kept.token) if kept is not None else None
    same = kept is not None and kept.url == settings.server.url.rstrip("/")
    return settings.server.url, kept.token if kept is not None and same else None


def _login_file() -> Path:
    import platformdirs

    return platformdirs.user_config_path("renderctl", appauthor=False) / "login.json"


def read_settings(config: Path | None = None) -> "Settings":
    """The settings that hold here: see `load_settings`."""
    import platformdirs

    from renderctl.settings import load_settings

    return load_settings(
        config,
        default_data_dir=platformdirs.user_data_path("renderctl", appauthor=False),
        user_config=platformdirs.user_config_path("renderctl", appauthor=False) / "renderctl.yaml",
    )


def write_config(path: Path | None, *, force: bool) -> Path:
    """Write the commented config to `path`, or where it is looked for. Raises BadSettings when one is there."""
    import platformdirs

    from renderctl.errors import BadSettings
    from renderctl.farm.composing import write_private

    target = path or platformdirs.user_config_path("renderctl", appauthor=False) / "renderctl.yaml"
    if target.exists() and not force:
        raise BadSettings(f"{target} is there already.", hint="--force overwrites it; -o FILE writes another one.")
    write_private(target, _example_config().read_text(encoding="utf-8"))  # passwords will stand in it
    return target


def write_compose(folder: Path, *, force: bool) -> list[Path]:
    """Write the passwords of the services in compose/ and a config that points at them. Raises BadSettings."""
    from renderctl.farm.composing import write_compose

    return write_compose(folder, force=force)


def _example_config() -> Path:
    package = Path(__file__).resolve().parent
    packaged = package / "config.example.yaml"
    return packaged if packaged.is_file() else package.parents[1] / "config.example.yaml"


def open_farm(settings: "Settings", opened: list[Any] | None = None) -> Any:
    """A farm of the implementations that the settings name; what needs closing is added to `opened`."""
    from renderctl.clocks import SystemClock
    from renderctl.farm import Farm

    clock = SystemClock()
    closing = opened if opened is not None else []
    return Farm(
        settings=settings,
        repository=cast(Any, _Deferred(partial(_repository, settings, clock), closing)),
        store=cast(Any, _Deferred(partial(_store, settings), [])),
        queue=cast(Any, _Deferred(partial(_queue, settings, clock), closing)),
        cache=cast(Any, _Deferred(partial(_cache, settings, clock), closing)),
        executor=cast(Any, _Deferred(partial(_executor, settings), closing)),
        images=cast(Any, _Deferred(partial(_images, settings), closing)),
        clock=clock,
    )


class _Deferred:
    """A port that opens when it is first used."""

    def __init__(self, open_port: Callable[[], Any], opened: list[Any]) -> None:
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
    return open_repository(settings.database_url, now=clock.now, heartbeat_limit_s=limit_s, seal=_seal(settings))


def _seal(settings: "Settings") -> Any:
    """How the audit log is signed here, and where its end is remembered."""
    from renderctl.repository.chaining import HeadFile, Seal, key_of_file

    head = HeadFile(settings.data_dir / "audit.head")
    if settings.audit.key is not None:
        key: bytes | None = settings.audit.key.encode()
        return Seal(lambda: key, head)
    if settings.database.url is None:
        return Seal(partial(key_of_file, settings.data_dir / "audit.key"), head)
    return Seal(head=head)


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
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    return SqliteCache(settings.data_dir / "cache.db", clock)


def _executor(settings: "Settings") -> Any:
    if settings.executor.kind == "docker":
        from renderctl.executors.docker import open_executor

        return open_executor(settings.executor, settings.worker.slots)
    from renderctl.executors.process import ProcessExecutor

    return ProcessExecutor()


def _images(settings: "Settings") -> Any:
    from renderctl.executors.docker.client import Engine
    from renderctl.executors.docker.images import DockerImages

    return DockerImages(Engine(settings.executor.host))


def _make_data_dir(settings: "Settings") -> None:
    from renderctl.errors import StoreUnavailable

    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnavailable(
            f"The data folder {settings.data_dir} can not be made: {error.strerror or error}.",
            hint="Choose another with data_dir in the config, or RENDERCTL_DATA_DIR.",
        ) from error


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return f"uid-{os.getuid()}"
