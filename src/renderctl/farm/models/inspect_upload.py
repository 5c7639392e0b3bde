"""A scene whose files were sent is looked at where the server is: of that machine nothing comes to be in a model.

The files lie below one folder, each where the sender had it. What the scene names elsewhere is missing, and a library
that lies elsewhere is taken out again before anything is asked; in a sandbox, or a container, it can not even be read.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from renderctl.blender.facts import Facts
from renderctl.blender.failures import SessionFailed
from renderctl.blender.header import read_header
from renderctl.blender.libraries import require_libraries
from renderctl.core.actors import Actor
from renderctl.core.errors import BlenderMissing, Busy, InvalidInput, LibraryMissing, SandboxMissing, SceneUnreadable
from renderctl.core.jobs import Input
from renderctl.core.models import Dependency, ModelFacts
from renderctl.farm import Farm
from renderctl.farm.authorization import require, subject_of_project
from renderctl.farm.blenders import (
    BlenderChoice,
    choose_blender,
    known_blenders,
    launch_session,
    limits,
    require_sandbox,
    session_launch,
)
from renderctl.farm.models.incoming_uploads import require_uploaded
from renderctl.farm.models.path_mapping import PathMapping
from renderctl.farm.models.upload import facts_of
from renderctl.farm.scratch import scratch_of
from renderctl.farm.worker.blob_cache import BlobCache

#: One Blender looks at a time: it takes memory that the server needs itself.
_one_at_a_time = threading.Semaphore(1)
_NONE_HERE = "This server has no Blender that could look at a scene."


@dataclass(frozen=True)
class Inspected:
    """What a scene is, and which of the files that were sent it needs."""

    facts: ModelFacts
    inputs: tuple[Input, ...]
    notes: tuple[str, ...] = ()

    @property
    def missing(self) -> tuple[Dependency, ...]:
        return self.facts.missing


def require_inspector(farm: Farm, actor: Actor, *, project: str | None = None) -> None:
    """Whether there is a Blender here that can look at scenes. Raises BlenderMissing, saying what an admin can do."""
    require(farm, actor, "model.upload", subject_of_project(project or actor.default_project))
    with _for_admins():
        require_sandbox(farm)
        for blender in known_blenders(farm):
            if not farm.executor.isolated:
                require_libraries(blender)


def inspect_files(
    farm: Farm, actor: Actor, main: str, files: Sequence[Input], *, project: str | None = None
) -> Inspected:
    """Look at the scene `main` among files that were sent.

    Raises MissingFiles, InvalidInput, SceneUnreadable, BlenderMissing, Busy, NotAllowed, StoreUnavailable.
    """
    require(farm, actor, "model.upload", subject_of_project(project or actor.default_project))
    require_uploaded(farm, actor, files)
    if main not in {file.path for file in files}:
        raise InvalidInput(f"The main file {main!r} is none of those that were sent.")
    with _alone(), scratch_of(farm, "inspect") as scratch:
        folder = scratch.resolve() / "files"
        with _hide_paths(folder):
            BlobCache(farm).lay_out(files, folder, stop=threading.Event())
            with _for_admins():
                chosen = choose_blender(farm, read_header(folder / main))
            known = _looked_at(farm, folder / main, folder, chosen)
            facts = _facts(known, folder, files)
    needed = {main, *(dependency.stored for dependency in facts.dependencies)}
    notes = tuple(filter(None, [chosen.note]))
    return Inspected(facts, tuple(file for file in files if file.path in needed), notes)


def _looked_at(farm: Farm, scene: Path, folder: Path, chosen: BlenderChoice) -> Facts:
    with _for_admins():
        require_sandbox(farm)
        if not farm.executor.isolated:
            require_libraries(chosen.blender)
    launch = session_launch(farm, chosen.blender, folder.with_name("session"), (folder,))
    with closing(launch_session(farm, replace(launch, sandbox_mb=farm.settings.serve.inspect_mb))) as session:
        try:
            session.wait_started(limits(farm))
        except SessionFailed as error:
            raise BlenderMissing(f"The Blender of this server does not start: {error.message}") from error
        return session.inspect(scene, limits(farm), within=folder)


def _facts(known: Facts, folder: Path, files: Sequence[Input]) -> ModelFacts:
    """With no word of where the files lay: they were never there for anybody but us."""
    hashed = {file.path: file for file in files}
    layout = PathMapping(folder, {folder / path: path for path in hashed})
    return facts_of(known, layout, hashed).published()


@contextmanager
def _alone() -> Iterator[None]:
    if not _one_at_a_time.acquire(blocking=False):
        raise Busy("Another scene is being looked at.", hint="Try again in a moment.")
    try:
        yield
    finally:
        _one_at_a_time.release()


@contextmanager
def _for_admins() -> Iterator[None]:
    """Who uploads can not install a Blender: say who can, and what they can do meanwhile."""
    try:
        yield
    except (BlenderMissing, LibraryMissing, SandboxMissing) as error:
        hint = f"An admin can help: {error.message} {error.hint or ''}".strip()
        instead = "Until then `renderctl upload SCENE` looks at it on your own machine."
        raise BlenderMissing(_NONE_HERE, hint=f"{hint} {instead}") from error


@contextmanager
def _hide_paths(folder: Path) -> Iterator[None]:
    """What is wrong with the scene, in words that do not say where it lay."""
    try:
        yield
    except SessionFailed as error:
        raise SceneUnreadable(error.message.replace(f"{folder}/", "")) from error
    except SceneUnreadable as error:
        raise type(error)(error.message.replace(f"{folder}/", ""), hint=error.hint) from error
