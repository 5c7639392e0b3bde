"""Sessions in containers: pinned, caged, and as warm as a process."""

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
from renderctl.executors.docker.container_exit import EngineBlind, of_refusal
from renderctl.executors.docker.container_spec import (
    NOBODY,
    ContainerUser,
    ResourceLimits,
    bind_mount,
    container_options,
    host_options,
    volume,
)
from renderctl.executors.docker.gpus import Gpus
from renderctl.executors.docker.images import DockerImages
from renderctl.executors.docker.stdio import AttachedStreams
from renderctl.executors.images import RenderImage

logger = logging.getLogger(__name__)

_ENVIRONMENT = {"LANG": "C.UTF-8"}
_OURS = "renderctl.session"


class DockerExecutor(Executor):
    """Starts each session in a container that has no network, and nothing of this machine but its folders."""

    caged = True
    sandboxed = True

    def __init__(self, engine: Engine, bars: ResourceLimits, gpus: Gpus | None = None) -> None:
        self._engine = engine
        self._bars = bars
        self._gpus = gpus or Gpus((), shared=True)
        self._programs: set[tuple[str, str]] = set()  # of images, that were seen to be there
        self._left: set[str] = set()  # containers that are to be removed, once the engine is back
        self._dead: list[Mapping[str, str]] = []  # labels of sessions whose workers are dead, likewise
        self._lock = threading.Lock()
        self._facts: Mapping[str, Any] | None = None
        self._known_to_share: bool | None = None  # None: no container was started yet

    def start(self, launch: LaunchSpec) -> SessionProcess:
        self._clear_up()
        gpus = self._gpus.take()
        try:
            return self._started(launch, gpus)
        except BaseException:
            self._gpus.give_back(gpus)
            raise

    @property
    def shares_disk(self) -> bool:  # type: ignore[override]
        return self._known_to_share is not False

    def check(self) -> str:
        facts = self._look()
        kind = "rootless " if _rootless(facts) else ""
        return f"containers of {kind}{self._engine.version()} at {self._engine.host}, {facts['NCPU']} cores"

    def advice(self) -> Iterable[str]:
        facts = self._look()
        if not any("seccomp" in each for each in facts.get("SecurityOptions") or ()):
            yield "The engine has no seccomp: containers may ask the kernel for anything."
        if not _rootless(facts) and self._engine.address.startswith("unix:"):
            yield "Whoever may use this engine's socket is root on this machine: a rootless one is safer."

    def images(self) -> Sequence[RenderImage]:
        return DockerImages(self._engine).list()

    def reap(self, labels: Mapping[str, str]) -> int:
        try:
            return self._reaped(labels)
        except Unreachable as error:
            logger.warning("sessions that a dead worker may have left are looked for later: %s", error.message)
            with self._lock:
                self._dead.append(labels)
            return 0

    def close(self) -> None:
        self._engine.close()

    def _started(self, launch: LaunchSpec, gpus: tuple[str, ...]) -> SessionProcess:
        if launch.image is None:
            raise ImageMissing("No image was named.", hint="`renderctl images build` makes one.")
        tenant = self._tenant(launch)
        try:
            environment = _prepared(launch, tenant)
            launch.log.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Unreachable(f"{launch.argv[0]} can not be started: {error}.") from error
        created = self._create(launch, tenant, environment, gpus)
        try:
            self._furnish(created, launch, tenant)
            return self._begun(created, launch, tenant, gpus)
        except BaseException:
            self._remove(created)
            raise

    def _furnish(self, container: str, launch: LaunchSpec, tenant: ContainerUser) -> None:
        """Carry in what it starts with, where the engine does not see it."""
        if not self.shares_disk:
            with self._engine.speaking() as client:
                copy_in(client, container, launch.scratch, launch.scratch.parent, tenant)
                for each in launch.inputs:
                    copy_in(client, container, each, each)

    def _create(
        self, launch: LaunchSpec, tenant: ContainerUser, environment: Mapping[str, str], gpus: tuple[str, ...]
    ) -> str:
        if self._known_to_share is None:
            self._known_to_share = self._sees_our_disk(launch)
        mounts = [
            bind_mount(launch.scratch, read_only=False),
            *(bind_mount(each, read_only=True) for each in launch.inputs),
        ]
        if not self.shares_disk:
            # a volume's own root stays root's: the scratch is a folder in one
            mounts = [volume(each) for each in (launch.scratch.parent, *launch.inputs)]
        options = container_options(launch, tenant, environment)
        options["labels"] |= {_OURS: "1"}
        return self._made(options, mounts, gpus)

    def _sees_our_disk(self, launch: LaunchSpec) -> bool:
        """Whether a container finds in our folder what we put there: its engine may have another disk."""
        token = launch.scratch / f"token-{new_token()}"
        token.touch()
        options = {"image": launch.image, "command": ["true"], "labels": {**launch.labels, _OURS: "1"}}
        probe = None
        try:
            probe = self._made(options, [bind_mount(launch.scratch, read_only=True)], ())
            with self._engine.speaking() as client:
                stream, _ = client.api.get_archive(probe, str(token))
                stream.close()
            return True
        except (NotFound, EngineBlind):
            logger.info("the container engine does not see our disk: files are carried in and out")
            return False
        finally:
            token.unlink()
            if probe is not None:
                self._remove(probe)

    def _made(self, options: dict[str, Any], mounts: list[Mount], gpus: tuple[str, ...]) -> str:
        with self._engine.speaking() as client:
            try:
                host = client.api.create_host_config(**host_options(self._bars_here(), mounts, gpus))
                return str(client.api.create_container(**options, host_config=host)["Id"])
            except APIError as error:
                raise self._refused(error) from error

    def _begun(
        self, container: str, launch: LaunchSpec, tenant: ContainerUser, gpus: tuple[str, ...]
    ) -> SessionProcess:
        with self._engine.speaking() as client:
            self._look_for_program(client, container, launch)
            streams = {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1}
            attachment = AttachedStreams(client.api.attach_socket(container, streams), launch.log)
            try:
                client.api.start(container)
            except APIError as error:
                attachment.close()
                raise self._refused(error) from error
            except BaseException:
                attachment.close()
                raise
            began = engine_time(client)

        def let_go(ended: str, gone: bool) -> None:
            self._gpus.give_back(gpus)
            if not gone:
                with self._lock:
                    self._left.add(ended)

        bars, shared = self._bars_here(), self.shares_disk
        place = ContainerHost(container, launch.scratch, bars, tenant, began, launch.inputs, shared)
        return RunningContainer(self._engine, place, attachment, let_go)

    def _look_for_program(self, client: Any, container: str, launch: LaunchSpec) -> None:
        """The engine's init would not tell a missing program from one that ended. Raises BlenderMissing."""
        known = (launch.image or "", launch.argv[0])
        if known in self._programs:
            return
        try:
            stream, _ = client.api.get_archive(container, launch.argv[0])
            stream.close()
        except NotFound as error:
            hint = "`renderctl images build` makes one that has."
            raise BlenderMissing(f"The image {launch.image} has no {launch.argv[0]}.", hint=hint) from error
        self._programs.add(known)

    def _refused(self, error: APIError) -> Unreachable:
        return of_refusal(Unreachable(f"The container can not be started: {error_text(error)}."), error_text(error))

    def _tenant(self, launch: LaunchSpec) -> ContainerUser:
        """Whose files the container's processes write: ours, where we are not root."""
        if _rootless(self._look()):
            return ContainerUser(0, 0)  # the engine's own user, which is ours and no root outside
        ours = ContainerUser(os.getuid(), os.getgid())
        return ours if ours.uid != 0 or launch.as_caller else ContainerUser(NOBODY, NOBODY)

    def _bars_here(self) -> ResourceLimits:
        facts = self._look()
        return self._bars.on(facts["MemTotal"], facts["NCPU"])

    def _look(self) -> Mapping[str, Any]:
        """What the engine says of itself."""
        if self._facts is None:
            with self._engine.speaking() as client:
                self._facts = client.info()
        return self._facts

    def _clear_up(self) -> None:
        """Remove what could not be removed when the engine was away."""
        with self._lock:
            left, dead = list(self._left), list(self._dead)
        for container in left:
            self._remove(container)
        for labels in dead:
            self._reaped(labels)
            with self._lock:
                self._dead.remove(labels)

    def _reaped(self, labels: Mapping[str, str]) -> int:
        wanted = [f"{name}={value}" for name, value in {**labels, _OURS: "1"}.items()]
        with self._engine.speaking() as client:
            found = client.api.containers(all=True, filters={"label": wanted})
        for each in found:
            self._remove(each["Id"])
        return len(found)

    def _remove(self, container: str) -> None:
        try:
            with suppress(NotFound), self._engine.speaking() as client:
                client.api.remove_container(container, force=True, v=True)
            with self._lock:
                self._left.discard(container)
        except Unreachable as error:
            logger.warning("a container is left: %s", error.message)
            with self._lock:
                self._left.add(container)


def _prepared(launch: LaunchSpec, tenant: ContainerUser) -> dict[str, str]:
    """The environment of a session, whose folders are made and the tenant's. Raises OSError."""
    private = {"HOME": launch.scratch / "home", "TMPDIR": launch.scratch / "tmp"}
    for folder in (launch.scratch, *private.values()):
        folder.mkdir(parents=True, exist_ok=True)
        if os.getuid() == 0:
            os.chown(folder, tenant.uid, tenant.gid, follow_symlinks=False)
    return {**_ENVIRONMENT, **{name: str(folder) for name, folder in private.items()}, **launch.environment}


def _rootless(facts: Mapping[str, Any]) -> bool:
    return any("rootless" in each for each in facts.get("SecurityOptions") or ())
