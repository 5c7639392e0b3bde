"""Parsing the facts of a scene, as reported by `templates/session_lib/facts.py`, within limits."""

import re
from dataclasses import dataclass

from renderctl.blender.failures import InvalidEvent
from renderctl.blender.fields import Fields
from renderctl.core.frames import FIRST_FRAME, LAST_FRAME
from renderctl.core.limits import (
    MAX_CAMERAS,
    MAX_COUNT,
    MAX_DEPENDENCIES,
    MAX_SCENES,
    MAX_SCRIPTS,
    MAX_UNBAKED,
    MAX_VIEW_LAYERS,
)
from renderctl.core.models import ModelFacts, SceneFacts

#: The most pixels of a side that Blender renders.
MAX_SIDE = 1 << 16

_MODEL_FIELDS = frozenset(
    {"saved_by", "opened_by", "active_scene", "scenes", "materials", "objects", "faces", "scripts", "files", "hidden"}
)
_SCENE_FIELDS = frozenset(SceneFacts.__dataclass_fields__)
_FILE_FIELDS = frozenset({"path", "absolute", "kind", "owner", "exists"})
_VERSION = re.compile(r"\d{1,3}\.\d{1,3}(\.\d{1,5})?")


@dataclass(frozen=True)
class SceneFile:
    """A file that a scene uses."""

    path: str  #: as stored in the .blend
    absolute: str
    kind: str  #: image, sequence, udim, movie, library, …
    owner: str  #: the datablock that uses it, such as `Image: wood`
    exists: bool


@dataclass(frozen=True)
class Facts:
    """The facts of a scene, and the files that it uses, without duplicates."""

    model: ModelFacts  #: without dependencies and relocations, which are added later
    files: tuple[SceneFile, ...]
    hidden: tuple[str, ...] = ()  #: existing folders and libraries that the session may not read


def parse_facts(fields: Fields) -> Facts:
    """Parse the fields of a `facts` event. Raises InvalidEvent."""
    fields.require_known(_MODEL_FIELDS)
    scenes = tuple(_scene(scene) for scene in fields.objects("scenes", most=MAX_SCENES))
    model = ModelFacts(
        saved_by=_version(fields, "saved_by"),
        opened_by=_version(fields, "opened_by"),
        active_scene=fields.name("active_scene"),
        scenes=scenes,
        materials=fields.integer("materials", most=MAX_COUNT),
        objects=fields.integer("objects", most=MAX_COUNT),
        faces=fields.integer("faces", most=MAX_COUNT),
        scripts=fields.sentences("scripts", most=MAX_SCRIPTS),
    )
    files = tuple(_file(file) for file in fields.objects("files", most=MAX_DEPENDENCIES))
    return Facts(model, files, fields.paths("hidden", most=MAX_DEPENDENCIES) if fields.has("hidden") else ())


def _scene(fields: Fields) -> SceneFacts:
    fields.require_known(_SCENE_FIELDS)
    width, height = fields.integers("resolution", count=2, least=1, most=MAX_SIDE)
    return SceneFacts(
        name=fields.name("name"),
        camera=fields.name("camera") if fields.has("camera") else None,
        cameras=fields.names("cameras", most=MAX_CAMERAS),
        frame_start=fields.integer("frame_start", least=FIRST_FRAME, most=LAST_FRAME),
        frame_end=fields.integer("frame_end", least=FIRST_FRAME, most=LAST_FRAME),
        frame_step=fields.integer("frame_step", most=LAST_FRAME),
        frame_current=fields.integer("frame_current", least=FIRST_FRAME, most=LAST_FRAME),
        fps=fields.number("fps"),
        resolution=(width, height),
        percentage=fields.integer("percentage"),
        engine=fields.name("engine"),
        samples=fields.integer("samples") if fields.has("samples") else None,
        format=fields.name("format"),
        view_layers=fields.names("view_layers", most=MAX_VIEW_LAYERS),
        objects=fields.integer("objects", most=MAX_COUNT),
        faces=fields.integer("faces", most=MAX_COUNT),
        unbaked=fields.sentences("unbaked", most=MAX_UNBAKED),
    )


def _file(fields: Fields) -> SceneFile:
    fields.require_known(_FILE_FIELDS)
    return SceneFile(
        path=fields.path("path"),
        absolute=fields.path("absolute"),
        kind=fields.name("kind"),
        owner=fields.sentence("owner"),
        exists=fields.flag("exists"),
    )


def _version(fields: Fields, name: str) -> str:
    version = fields.name(name)
    if not _VERSION.fullmatch(version):
        raise InvalidEvent(f"facts.{name} is not a version")
    return version
