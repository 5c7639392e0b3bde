"""Models: uploaded scenes, their dependencies, and the facts that Blender reported about them."""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from renderctl.core import limits
from renderctl.core.errors import InvalidInput, UnknownName, did_you_mean
from renderctl.core.frames import FIRST_FRAME, LAST_FRAME
from renderctl.core.limits import require_few, require_number, require_text, require_within

#: Items in each list of abridged facts.
_MAX_LISTED = 10
_VERSION = re.compile(r"\d{1,3}\.\d{1,3}(\.\d{1,5})?")


@dataclass(frozen=True)
class SceneFacts:
    """One scene of a .blend, as Blender reports it."""

    name: str
    camera: str | None  #: the active camera
    cameras: tuple[str, ...]
    frame_start: int
    frame_end: int
    frame_step: int
    frame_current: int
    fps: float
    resolution: tuple[int, int]  #: pixels, before the percentage
    percentage: int
    engine: str  #: Blender's identifier: CYCLES, BLENDER_EEVEE, …
    samples: int | None
    format: str  #: Blender's identifier: PNG, FFMPEG, …
    view_layers: tuple[str, ...]
    objects: int
    faces: int
    unbaked: tuple[str, ...] = ()  #: simulations that are not baked


@dataclass(frozen=True)
class Dependency:
    """A file that the scene uses."""

    path: str  #: as stored in the .blend
    source: str  #: path among the model's inputs, or as in the .blend; never a path of a machine
    kind: str  #: image, sequence, udim, movie, library, font, sound, volume, cache, …
    owner: str  #: the data-block that uses it, such as `Image: wood`
    stored: str | None = None  #: path among the model's inputs; None: it was missing
    digest: str | None = None
    size: int | None = None


@dataclass(frozen=True)
class ModelFacts:
    """Facts about a model, so that it need not be opened again."""

    saved_by: str  #: version of the Blender that saved it
    opened_by: str  #: version of the Blender that inspected it
    active_scene: str
    scenes: tuple[SceneFacts, ...]
    materials: int
    objects: int
    faces: int
    scripts: tuple[str, ...] = ()  #: text blocks and drivers that run Python
    dependencies: tuple[Dependency, ...] = ()
    relocations: Mapping[str, str] = field(default_factory=dict)  #: absolute directory -> directory below the root

    def scene(self, name: str | None) -> SceneFacts:
        """Return the scene of that name, or the active one for None. Raises UnknownName."""
        requested = name if name is not None else self.active_scene
        for scene in self.scenes:
            if scene.name == requested:
                return scene
        raise UnknownName(
            f"There is no scene {requested!r}.", hint=did_you_mean(requested, [s.name for s in self.scenes])
        )

    @property
    def missing(self) -> tuple[Dependency, ...]:
        """Dependencies that were not found at upload."""
        return tuple(dependency for dependency in self.dependencies if dependency.stored is None)

    def as_document(self) -> dict[str, Any]:
        """Return the facts as a JSON document."""
        return {**asdict(self), "relocations": dict(self.relocations)}

    def without_sources(self) -> "ModelFacts":
        """Return the facts without paths on the uploader's machine.

        The relocations stay if files are referenced by absolute paths: a session needs them to find these files, and
        the .blend itself contains the folder in each of these paths.
        """
        dependencies = tuple(
            replace(dependency, source=dependency.stored or dependency.path) for dependency in self.dependencies
        )
        needed = any(file.stored is not None and is_absolute(file.path) for file in dependencies)
        return replace(self, dependencies=dependencies, relocations=self.relocations if needed else {})

    def published(self) -> "ModelFacts":
        """Return the facts for other people: without sources and relocations."""
        return replace(self.without_sources(), relocations={})

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "ModelFacts":
        """Read the facts of a JSON document."""
        values = dict(document)
        values["scenes"] = tuple(_scene_facts(scene) for scene in values["scenes"])
        values["dependencies"] = tuple(Dependency(**dependency) for dependency in values.get("dependencies", ()))
        values["scripts"] = tuple(values.get("scripts", ()))
        return cls(**values)


def is_absolute(path: str) -> bool:
    """Return whether a path of a .blend is absolute; `//` begins one that is relative to the .blend."""
    path = path.replace("\\", "/")
    return path.startswith("/") and not path.startswith("//")


def abridge(facts: ModelFacts) -> ModelFacts | None:
    """Return facts cut to a few missing files, scripts and scenes, for lists; None if they are small enough."""
    if len(json.dumps(facts.as_document())) <= limits.MAX_LISTED_FACTS_BYTES:
        return None
    scenes = sorted(facts.scenes, key=lambda scene: scene.name != facts.active_scene)[:_MAX_LISTED]
    lists = ("cameras", "view_layers", "unbaked")
    return replace(
        facts,
        scenes=tuple(
            replace(scene, **{name: getattr(scene, name)[:_MAX_LISTED] for name in lists}) for scene in scenes
        ),
        scripts=facts.scripts[:_MAX_LISTED],
        dependencies=facts.missing[:_MAX_LISTED],
        relocations={},
    )


def require_valid_facts(facts: ModelFacts) -> None:
    """Validate facts against the limits: they come from clients and sessions. Raises InvalidInput, UnknownName."""
    for what, version in (("saved_by", facts.saved_by), ("opened_by", facts.opened_by)):
        require_text(what, version)
        if not _VERSION.fullmatch(version):
            raise InvalidInput(
                f"{what} is not a version of Blender.", hint="It must be two or three numbers, such as 4.5.1."
            )
    require_text("The name of the active scene", facts.active_scene)
    for what, count in (("materials", facts.materials), ("objects", facts.objects), ("faces", facts.faces)):
        require_within(f"The number of {what}", count, 0, limits.MAX_COUNT)
    require_few("scenes", facts.scenes, limits.MAX_SCENES)
    require_few("dependencies", facts.dependencies, limits.MAX_DEPENDENCIES)
    require_few("relocations", facts.relocations, limits.MAX_RELOCATIONS)
    _require_texts("script", facts.scripts, limits.MAX_SCRIPTS)
    for scene in facts.scenes:
        _require_valid_scene(scene)
    for dependency in facts.dependencies:
        _require_valid_dependency(dependency)
    for pair in facts.relocations.items():
        for folder in pair:
            require_text("A folder", folder, limits.MAX_PATH)
    size = len(json.dumps(facts.as_document(), ensure_ascii=False).encode())
    if size > limits.MAX_FACTS_BYTES:
        raise InvalidInput(f"The facts have {size} bytes.", hint=f"At most {limits.MAX_FACTS_BYTES} are allowed.")
    facts.scene(None)


def _require_valid_scene(scene: SceneFacts) -> None:
    for what, text in (("name of a scene", scene.name), ("engine", scene.engine), ("format", scene.format)):
        require_text(f"The {what}", text)
    if scene.camera is not None:
        require_text("The name of a camera", scene.camera)
    _require_texts("camera", scene.cameras, limits.MAX_CAMERAS)
    _require_texts("view layer", scene.view_layers, limits.MAX_VIEW_LAYERS)
    _require_texts("simulation", scene.unbaked, limits.MAX_UNBAKED)
    for what in ("frame_start", "frame_end", "frame_current"):
        require_within(what, getattr(scene, what), FIRST_FRAME, LAST_FRAME)
    require_within("frame_step", scene.frame_step, 0, LAST_FRAME)
    require_number("fps", scene.fps, 0, 1e6)
    for pixels in scene.resolution:
        require_within("The resolution", pixels, 0, 1 << 17)
    require_within("The percentage", scene.percentage, 0, 1 << 16)
    require_within("The number of samples", scene.samples or 0, 0, 1 << 31)
    for what in ("objects", "faces"):
        require_within(f"The number of {what}", getattr(scene, what), 0, limits.MAX_COUNT)


def _require_valid_dependency(dependency: Dependency) -> None:
    for what in ("path", "source", "kind", "owner", "stored", "digest"):
        text = getattr(dependency, what)
        if text is not None:
            require_text(f"The {what} of a dependency", text, limits.MAX_PATH)
    require_within("The size of a dependency", dependency.size or 0, 0, limits.MAX_COUNT)


def _require_texts(what: str, texts: Collection[str], most: int) -> None:
    require_few(f"{what}s", texts, most)
    for text in texts:
        require_text(f"The name of a {what}", text, limits.MAX_PATH if what == "script" else limits.MAX_NAME)


def _scene_facts(document: Mapping[str, Any]) -> SceneFacts:
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in document.items()
    }
    return SceneFacts(**values)


@dataclass(frozen=True)
class Model:
    """A version of an uploaded scene with its files."""

    id: str
    name: str
    project: str
    version: int  #: 1 … n among models of the same name and project
    owner: str
    created_at: datetime
    main: str  #: path of the .blend among the model's inputs
    digest: str  #: SHA-256 of the manifest: equal for equal content
    facts: ModelFacts
    size: int  #: bytes, all inputs together
    files: int

    @property
    def ref(self) -> str:
        """NAME@VERSION."""
        return f"{self.name}@{self.version}"
