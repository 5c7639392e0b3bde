"""Runs sessions in isolated containers with pinned images."""

import logging
import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from docker.errors import APIError
from docker.types import Mount

from renderctl.core.errors import BlenderMissing, ImageMissing, Unreachable
from renderctl.core.ids import new_token
from renderctl.executors import Executor, LaunchSpec, SessionProcess
from renderctl.executors.docker.archive_copy import copy_in
from renderctl.executors.docker.client import Engine, NotFound, engine_time, error_text
from renderctl.executors.docker.container import ContainerHost, RunningContainer
from renderctl.executors.docker.container_exit import DiskNotShared, explain_refusal
from renderctl.executors.docker.container_spec import (
    UNPRIVILEGED_ID,
    ContainerUser,
    ResourceLimits,
    bind_mount,
    container_options,
    host_options,
    volume,
)
from renderctl.executors.docker.gpus import GpuPool
from renderctl.executors.docker.images import DockerImages
from renderctl.executors.docker.stdio import AttachedStreams
from renderctl.executors.images import RenderImage

logger = logging.getLogger(__name__)

_BASE_ENVIRONMENT = {"LANG": "C.UTF-8"}
_SESSION_LABEL = "renderctl.session"


class DockerExecutor(Executor):
    """Starts each session in a container without network, which has only its own folders of this machine."""

    isolated = True
    sandboxed = True

    def __init__(self, engine: Engine, limits: ResourceLimits, gpus: GpuPool | None = None) -> None:
        self._engine = engine
        self._limits = limits
        self._gpus = gpus or GpuPool((), shared=True)
        self._known_programs: set[tuple[str, str]] = set()  # (image, path) of programs that exist
        self._leftover: set[str] = set()  # containers to remove once the engine is back
        self._unreaped: list[Mapping[str, str]] = []  # labels of dead workers' sessions, likewise
        self._lock = threading.Lock()
        self._info: Mapping[str, Any] | None = None
        self._disk_shared: bool | None = None  # None: not known yet

    def start(self, launch: LaunchSpec) -> SessionProcess:
        """Create and start a container. Raises ImageMissing, BlenderMissing, EngineRefused, EngineUnavailable."""
        self._retry_cleanup()
        gpus = self._gpus.acquire()
        try:
            return self._start(launch, gpus)
        except BaseException:
            self._gpus.release(gpus)
            raise

    @property
    def shares_disk(self) -> bool:  # type: ignore[override]
        """Whether the engine shares this machine's disk, as far as is known."""
        return self._disk_shared is not False

    def check(self) -> str:
        """Return the engine's kind, version, address and cores."""
        info = self._engine_info()
        kind = "rootless " if _rootless(info) else ""
        return f"containers of {kind}{self._engine.version()} at {self._engine.host}, {info['NCPU']} cores"

    def advice(self) -> Iterable[str]:
        """Return what could make the engine safer."""
        info = self._engine_info()
        if not any("seccomp" in option for option in info.get("SecurityOptions") or ()):
            yield "The engine has no seccomp: containers may use every system call."
        if not _rootless(info) and self._engine.address.startswith("unix:"):
            yield "Access to this engine's socket is root access to this machine: a rootless engine is safer."

    def images(self) -> Sequence[RenderImage]:
        """Return the engine's render images."""
        return DockerImages(self._engine).list()

    def reap(self, labels: Mapping[str, str]) -> int:
        """Remove the containers with these labels, or later if the engine is out of reach."""
        try:
            return self._reap(labels)
        except Unreachable as error:
            logger.warning("sessions of a dead worker will be removed later: %s", error.message)
            with self._lock:
                self._unreaped.append(labels)
            return 0

    def close(self) -> None:
        """Close the connection to the engine."""
        self._engine.close()

    def _start(self, launch: LaunchSpec, gpus: tuple[str, ...]) -> SessionProcess:
        if launch.image is None:
            raise ImageMissing("No render image was given.", hint="Build one with `renderctl images build`.")
        user = self._user_of(launch)
        try:
            environment = _prepare_scratch(launch, user)
            launch.log.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Unreachable(f"{launch.argv[0]} cannot be started: {error}.") from error
        container = self._create_session(launch, user, environment, gpus)
        try:
            self._copy_inputs(container, launch, user)
            return self._start_container(container, launch, user, gpus)
        except BaseException:
            self._remove(container)
            raise

    def _copy_inputs(self, container: str, launch: LaunchSpec, user: ContainerUser) -> None:
        """Copy its scratch and inputs in, unless the engine shares the disk."""
        if not self.shares_disk:
            with self._engine.client() as client:
                copy_in(client, container, launch.scratch, launch.scratch.parent, user)
                for path in launch.inputs:
                    copy_in(client, container, path, path)

    def _create_session(
        self, launch: LaunchSpec, user: ContainerUser, environment: Mapping[str, str], gpus: tuple[str, ...]
    ) -> str:
        if self._disk_shared is None:
            self._disk_shared = self._probe_disk(launch)
        mounts = [
            bind_mount(launch.scratch, read_only=False),
            *(bind_mount(path, read_only=True) for path in launch.inputs),
        ]
        if not self.shares_disk:
            # a volume's root belongs to root: the scratch is a folder inside one
            mounts = [volume(path) for path in (launch.scratch.parent, *launch.inputs)]
        options = container_options(launch, user, environment)
        options["labels"] |= {_SESSION_LABEL: "1"}
        return self._create_container(options, mounts, gpus)

    def _probe_disk(self, launch: LaunchSpec) -> bool:
        """Return whether a container sees a file that was just written: the engine may have another disk."""
        token = launch.scratch / f"token-{new_token()}"
        token.touch()
        options = {"image": launch.image, "command": ["true"], "labels": {**launch.labels, _SESSION_LABEL: "1"}}
        probe = None
        try:
            probe = self._create_container(options, [bind_mount(launch.scratch, read_only=True)], ())
            with self._engine.client() as client:
                stream, _ = client.api.get_archive(probe, str(token))
                stream.close()
            return True
        except (NotFound, DiskNotShared):
            logger.info("the container engine does not share our disk: files are copied in and out")
            return False
        finally:
            token.unlink()
            if probe is not None:
                self._remove(probe)

    def _create_container(self, options: dict[str, Any], mounts: list[Mount], gpus: tuple[str, ...]) -> str:
        with self._engine.client() as client:
            try:
                host = client.api.create_host_config(**host_options(self._resolved_limits(), mounts, gpus))
                return str(client.api.create_container(**options, host_config=host)["Id"])
            except APIError as error:
                raise self._start_error(error) from error

    def _start_container(
        self, container: str, launch: LaunchSpec, user: ContainerUser, gpus: tuple[str, ...]
    ) -> SessionProcess:
        with self._engine.client() as client:
            self._require_program(client, container, launch)
            options = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
            streams = AttachedStreams(client.api.attach_socket(container, options), launch.log)
            try:
                client.api.start(container)
            except APIError as error:
                streams.close()
                raise self._start_error(error) from error
            except BaseException:
                streams.close()
                raise
            started_at = engine_time(client)

        def on_removed(container_id: str, gone: bool) -> None:
            self._gpus.release(gpus)
            if not gone:
                with self._lock:
                    self._leftover.add(container_id)

        limits, shared = self._resolved_limits(), self.shares_disk
        host = ContainerHost(container, launch.scratch, limits, user, started_at, launch.inputs, shared)
        return RunningContainer(self._engine, host, streams, on_removed)

    def _require_program(self, client: Any, container: str, launch: LaunchSpec) -> None:
        """Check for the program: the engine's init does not report a missing one. Raises BlenderMissing."""
        key = (launch.image or "", launch.argv[0])
        if key in self._known_programs:
            return
        try:
            stream, _ = client.api.get_archive(container, launch.argv[0])
            stream.close()
        except NotFound as error:
            hint = "Build one that has it with `renderctl images build`."
            raise BlenderMissing(f"The image {launch.image} has no {launch.argv[0]}.", hint=hint) from error
        self._known_programs.add(key)

    def _start_error(self, error: APIError) -> Unreachable:
        return explain_refusal(Unreachable(f"The container cannot be started: {error_text(error)}."), error_text(error))

    def _user_of(self, launch: LaunchSpec) -> ContainerUser:
        """Return the user of the container's processes, who owns the files that they write: ours unless we are root."""
        if _rootless(self._engine_info()):
            return ContainerUser(0, 0)  # mapped to the engine's user, who is ours and not root
        own_user = ContainerUser(os.getuid(), os.getgid())
        return (
            own_user if own_user.uid != 0 or launch.as_current_user else ContainerUser(UNPRIVILEGED_ID, UNPRIVILEGED_ID)
        )

    def _resolved_limits(self) -> ResourceLimits:
        info = self._engine_info()
        return self._limits.resolve(info["MemTotal"], info["NCPU"])

    def _engine_info(self) -> Mapping[str, Any]:
        """Return the engine's info, requested once."""
        if self._info is None:
            with self._engine.client() as client:
                self._info = client.info()
        return self._info

    def _retry_cleanup(self) -> None:
        """Remove what could not be removed while the engine was out of reach."""
        with self._lock:
            leftover, unreaped = list(self._leftover), list(self._unreaped)
        for container in leftover:
            self._remove(container)
        for labels in unreaped:
            self._reap(labels)
            with self._lock:
                self._unreaped.remove(labels)

    def _reap(self, labels: Mapping[str, str]) -> int:
        filters = [f"{name}={value}" for name, value in {**labels, _SESSION_LABEL: "1"}.items()]
        with self._engine.client() as client:
            containers = client.api.containers(all=True, filters={"label": filters})
        for container in containers:
            self._remove(container["Id"])
        return len(containers)

    def _remove(self, container: str) -> None:
        try:
            with suppress(NotFound), self._engine.client() as client:
                client.api.remove_container(container, force=True, v=True)
            with self._lock:
                self._leftover.discard(container)
        except Unreachable as error:
            logger.warning("a container could not be removed: %s", error.message)
            with self._lock:
                self._leftover.add(container)


def _prepare_scratch(launch: LaunchSpec, user: ContainerUser) -> dict[str, str]:
    """Create a session's folders for its user, and return its environment. Raises OSError."""
    private = {"HOME": launch.scratch / "home", "TMPDIR": launch.scratch / "tmp"}
    for folder in (launch.scratch, *private.values()):
        folder.mkdir(parents=True, exist_ok=True)
        if os.getuid() == 0:
            os.chown(folder, user.uid, user.gid, follow_symlinks=False)
    return {**_BASE_ENVIRONMENT, **{name: str(folder) for name, folder in private.items()}, **launch.environment}


def _rootless(info: Mapping[str, Any]) -> bool:
    return any("rootless" in option for option in info.get("SecurityOptions") or ())
