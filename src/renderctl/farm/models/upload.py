"""`upload`: a scene and all that it depends on becomes a model, with what is known about it."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from renderctl.blender.facts import Facts
from renderctl.blender.failures import SessionFailed
from renderctl.blender.header import names_a_file, read_header
from renderctl.blender.session import Session
from renderctl.core.actors import Actor
from renderctl.core.errors import BlobCollected, MissingFiles, RenderctlError, SceneUnreadable
from renderctl.core.jobs import Fault, Input
from renderctl.core.models import Dependency, Model, ModelFacts
from renderctl.farm import Farm, OnProgress, ignore_progress
from renderctl.farm.authorization import authorized_model, require, subject_of_project
from renderctl.farm.blenders import BlenderChoice, choose_blender, limits
from renderctl.farm.models.blob_upload import upload_missing
from renderctl.farm.models.file_hashes import hash_files
from renderctl.farm.models.inspect_local import beside, inspect_scene, out_of_sight
from renderctl.farm.models.outside_files import OnOutside, check_outside, owners, refuse_outside
from renderctl.farm.models.path_mapping import PathMapping, map_paths

if TYPE_CHECKING:
    from renderctl.core.new_model import NewModel


@dataclass(frozen=True)
class Uploaded:
    """What an upload came to."""

    model: Model
    new: bool  #: False: the latest version of the model is just the same
    sent: int  #: files that were sent: the farm did not have them
    sent_bytes: int
    notes: tuple[str, ...] = ()


#: Starts a Blender of a choice that may read some paths; whoever gives it keeps the Blender.
StartSession = Callable[[BlenderChoice, tuple[Path, ...]], Session]


@dataclass(frozen=True)
class UploadRequest:
    scene: Path
    name: str | None = None  #: of the model; None: the file's
    allow_missing: bool = False
    verify: bool = False  #: ask the store for every file, also for those that the database says are there
    project: str | None = None  #: None: the actor's own
    on_outside: OnOutside = refuse_outside  #: what becomes of files that lie elsewhere
    session: StartSession | None = None  #: None: a Blender is started for the upload, and ended with it


@dataclass(frozen=True)
class UploadOptions:
    """What `model_of` uploads a scene with."""

    allow_missing: bool = False
    project: str | None = None
    on_outside: OnOutside = refuse_outside
    session: StartSession | None = None


def upload(
    farm: Farm,
    actor: Actor,
    request: UploadRequest,
    *,
    on_advance: OnProgress = ignore_progress,
) -> Uploaded:
    """Look at the scene with a Blender, list what is missing, send what the store lacks, and keep a new version.

    Raises SceneNotFound, SceneUnreadable, MissingFiles, OutsideFiles, BlenderMissing, StoreUnavailable.
    """
    project = request.project or actor.default_project
    require(farm, actor, "model.upload", subject_of_project(project))
    prepared = prepare(farm, request, on_advance=on_advance)
    new = replace(prepared.new, project=project)
    for last in (False, False, True):
        since = farm.repository.time()
        sent = upload_missing(farm, prepared.files, on_advance, verify=request.verify)
        try:
            model, fresh = farm.repository.models.add(new, actor=actor, since=since)
            break
        except BlobCollected:  # before it was leased, or because the upload took longer than its lease
            if last:
                raise
    return Uploaded(model, fresh, len(sent), sum(file.size for file in sent), prepared.notes)


@dataclass(frozen=True)
class Prepared:
    """A model as it is before anything of it was sent."""

    new: "NewModel"
    files: Mapping[Path, Input]  #: absolute source -> what it is below the root
    notes: tuple[str, ...]


def prepare(
    farm: Farm,
    request: UploadRequest,
    *,
    on_advance: OnProgress = ignore_progress,
) -> Prepared:
    """Look at the scene, find its files and hash them: all of an upload that is done on this machine.

    Files outside the scene's folder are neither hashed nor sent unless `on_outside` lets them.
    Raises SceneNotFound, SceneUnreadable, MissingFiles, OutsideFiles, BlenderMissing.
    """
    scene = Path(os.path.normpath(request.scene.expanduser().absolute()))
    chosen = choose_blender(farm, read_header(scene))
    known = _looked_at(farm, scene, chosen, request.session)
    sources = owners(known.files)
    sources.pop(scene, None)
    check_outside(farm.settings, scene.parent, sources, request.on_outside)
    layout = map_paths(scene, sources)
    hashed = _hashed(farm, layout, on_advance)
    facts = facts_of(known, layout, hashed)
    if facts.missing and not request.allow_missing:
        raise missing_files(facts)
    files = {source: hashed[path] for source, path in layout.stored.items()}
    return Prepared(_new_model(request, layout, hashed, facts), files, tuple(filter(None, [chosen.note])))


def model_of(
    farm: Farm,
    actor: Actor,
    scene: str,
    options: UploadOptions,
    *,
    on_advance: OnProgress = ignore_progress,
) -> tuple[Model, tuple[str, ...]]:
    """The model that `scene` means, and notes: a file is uploaded, anything else is the name of a model."""
    if not names_a_file(scene):
        return authorized_model(farm, actor, scene, "model.see", project=options.project or actor.default_project), ()
    request = UploadRequest(Path(scene), **vars(options))
    try:
        uploaded = upload(farm, actor, request, on_advance=on_advance)
    except SessionFailed as error:
        raise as_error(error) from error
    return uploaded.model, uploaded.notes


def as_error(error: SessionFailed) -> RenderctlError:
    """A scene that can not be opened is invalid input."""
    return SceneUnreadable(error.failure.reason) if error.failure.fault is Fault.SCENE else error


def missing_files(facts: ModelFacts) -> MissingFiles:
    """The error that lists what a scene names and does not have."""
    lines = [f"  {dependency.path}  ({dependency.kind}, {dependency.owner})" for dependency in facts.missing[:20]]
    more = [f"  … and {len(facts.missing) - 20} more"] if len(facts.missing) > 20 else []
    count = f"{len(facts.missing)} files" if len(facts.missing) > 1 else "a file"
    return MissingFiles(
        "\n".join([f"The scene needs {count} that can not be found:", *lines, *more]),
        hint="Put them where the scene looks for them, or render without them with --allow-missing.",
    )


def _looked_at(farm: Farm, scene: Path, chosen: BlenderChoice, session: StartSession | None) -> Facts:
    if session is not None and not farm.executor.isolated:
        reads = beside(farm, scene)
        facts = session(chosen, reads).inspect(scene, limits(farm))
        if not out_of_sight(farm, facts, reads):
            return facts
    return inspect_scene(farm, scene, chosen)


def facts_of(known: Facts, layout: PathMapping, hashed: Mapping[str, Input]) -> ModelFacts:
    """What Blender said of a scene, with the files that have a place in the layout; all others are missing."""
    dependencies = []
    for file in known.files:
        stored = layout.stored.get(Path(os.path.normpath(file.absolute))) if file.exists else None
        blob = hashed.get(stored) if stored else None
        dependencies.append(
            Dependency(
                path=file.path,
                source=file.absolute,
                kind=file.kind,
                owner=file.owner,
                stored=stored,
                digest=blob.digest if blob else None,
                size=blob.size if blob else None,
            )
        )
    facts = replace(known.model, relocations=layout.relocations, dependencies=tuple(dependencies))
    return facts.without_sources()


def _hashed(farm: Farm, layout: PathMapping, on_advance: OnProgress) -> dict[str, Input]:
    """Path below the root -> what lies there."""
    hashed = hash_files(farm, layout.stored, on_advance)
    return {path: Input(path, hashed[source].digest, hashed[source].size) for source, path in layout.stored.items()}


def _new_model(
    request: UploadRequest, layout: PathMapping, hashed: Mapping[str, Input], facts: ModelFacts
) -> "NewModel":
    from renderctl.core.new_model import NewModel

    scene = Path(os.path.normpath(request.scene.expanduser().absolute()))
    inputs = tuple(sorted(hashed.values(), key=lambda file: file.path))
    main = layout.stored[scene]
    name = (request.name or scene.stem).strip()[:255] or "scene"
    return NewModel(name, main, manifest_digest(main, inputs), facts, inputs)


def manifest_digest(main: str, inputs: Iterable[Input]) -> str:
    """One digest for a model: equal when the files, their places and the main file are."""
    rows = [[file.path, file.digest] for file in inputs]
    return hashlib.sha256(json.dumps([main, rows]).encode()).hexdigest()
