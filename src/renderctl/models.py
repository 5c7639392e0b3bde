"""Models: an uploaded scene, what it depends on, and what is known about it."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from renderctl.errors import UnknownName, did_you_mean


@dataclass(frozen=True)
class SceneFacts:
    """One scene of a .blend, as Blender reports it."""

    name: str
    camera: str | None  #: the active one
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
    unbaked: tuple[str, ...] = ()  #: simulations that have no bake


@dataclass(frozen=True)
class Dependency:
    """A file that the scene names."""

    path: str  #: as the .blend has it
    source: str  #: absolute, where it lay when it was uploaded
    kind: str  #: image, sequence, udim, movie, library, font, sound, volume, cache, …
    owner: str  #: what uses it, such as `Image: wood`
    stored: str | None = None  #: path among the model's inputs; None: it was missing
    digest: str | None = None
    size: int | None = None


@dataclass(frozen=True)
class ModelFacts:
    """What is known of a model without opening it again."""

    saved_by: str  #: version of the Blender that saved it
    opened_by: str  #: version of the Blender that looked at it
    active_scene: str
    scenes: tuple[SceneFacts, ...]
    materials: int
    objects: int
    faces: int
    scripts: tuple[str, ...] = ()  #: text blocks and drivers that want to run Python
    dependencies: tuple[Dependency, ...] = ()
    relocations: Mapping[str, str] = field(default_factory=dict)  #: absolute directory -> directory below the root

    def scene(self, name: str | None) -> SceneFacts:
        """The scene of that name; None: the active one. Raises UnknownName."""
        wanted = name if name is not None else self.active_scene
        for scene in self.scenes:
            if scene.name == wanted:
                return scene
        raise UnknownName(f"There is no scene {wanted!r}.", hint=did_you_mean(wanted, [s.name for s in self.scenes]))

    @property
    def missing(self) -> tuple[Dependency, ...]:
        return tuple(each for each in self.dependencies if each.stored is None)

    def as_document(self) -> dict[str, Any]:
        return {**asdict(self), "relocations": dict(self.relocations)}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> "ModelFacts":
        values = dict(document)
        values["scenes"] = tuple(_scene_facts(each) for each in values["scenes"])
        values["dependencies"] = tuple(Dependency(**each) for each in values.get("dependencies", ()))
        values["scripts"] = tuple(values.get("scripts", ()))
        return cls(**values)


def _scene_facts(document: Mapping[str, Any]) -> SceneFacts:
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in document.items()
    }
    return SceneFacts(**values)


@dataclass(frozen=True)
class Model:
    id: str
    name: str
    project: str
    version: int  #: among those of its name and project
    owner: str
    created_at: datetime
    main: str  #: path of the .blend among the model's inputs
    digest: str  #: of the manifest: equal for equal content
    facts: ModelFacts
    size: int  #: bytes, all inputs together
    files: int

    @property
    def ref(self) -> str:
        return f"{self.name}@{self.version}"
