"""Parses the form to submit a job: the request that it makes, and the errors of its fields."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from renderctl.core.errors import BadFrames, Conflict, InvalidInput, MissingFiles, RenderctlError
from renderctl.core.jobs import RenderOptions
from renderctl.core.models import SceneFacts
from renderctl.farm.jobs.submit import SubmitRequest

#: Prefix of the fields of checked cameras.
CAMERA = "camera:"
_OPTIONS = ("view_layer", "engine", "quality", "format")
_NUMBERS = ("samples", "percentage")


@dataclass(frozen=True)
class ParsedForm:
    """The request of a form, and errors by the names of fields; the empty name is the form itself."""

    request: SubmitRequest
    errors: Mapping[str, RenderctlError]


def parse(fields: Mapping[str, str], scene: SceneFacts, model: str) -> ParsedForm:
    """The request of a form. Values are validated as those of the command line."""
    reader = _FieldReader(fields)
    priority, attempts = reader.number("priority"), reader.number("attempts")
    request = SubmitRequest(
        options=_options(reader, scene),
        cameras=_cameras(fields, scene),
        name=reader.text("name") or model,
        project=reader.text("project"),
        pool=reader.text("pool") or "default",
        priority=5 if priority is None else priority,
        max_attempts=3 if attempts is None else attempts,
        paused="paused" in fields,
        idempotency_key=reader.text("key"),
    )
    which = fields.get("which", "range")
    frames = fields.get("frames", "") if which == "these" else None
    request = reader.attempt("frames", lambda: replace(request, frames=frames, animation=which == "range"), request)
    return ParsedForm(request, reader.errors)


def field_of(error: RenderctlError) -> str:
    """The field that an error of a submission belongs to."""
    kinds = {BadFrames: "frames", MissingFiles: "allow_missing"}
    return next((field for kind, field in kinds.items() if isinstance(error, kind)), "")


def form_message(error: RenderctlError) -> RenderctlError:
    """The error of a submission, with a hint for users of the form."""
    if isinstance(error, MissingFiles):
        return MissingFiles("The scene needs files that are missing.", hint="Check the box to render without them.")
    if type(error) is Conflict:
        hint = "Submit it again to create another job."
        return Conflict("This form has created a job already, with other values.", hint=hint)
    return error


class _FieldReader:
    """Reads fields, and collects their errors."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        self._fields = fields
        self.errors: dict[str, RenderctlError] = {}

    def text(self, name: str) -> str | None:
        return self._fields.get(name, "").strip() or None

    def number(self, name: str) -> int | None:
        text = self.text(name)
        if text is None or (text.lstrip("+-").isdecimal() and len(text) <= 12):
            return int(text) if text else None
        self.errors[name] = InvalidInput(f"{text[:40]!r} is not a whole number.")
        return None

    def attempt(self, name: str, make: Callable[[], Any], otherwise: Any) -> Any:
        """The result of `make`; `otherwise`, where it raises an error of the field."""
        try:
            return make()
        except InvalidInput as error:
            self.errors[name] = error
            return otherwise


def _options(reader: _FieldReader, scene: SceneFacts) -> RenderOptions:
    values: dict[str, Any] = {name: reader.text(name) for name in _OPTIONS}
    values |= {name: reader.number(name) for name in _NUMBERS}
    values["resolution"] = _resolution(reader, scene)
    values["denoise"] = {"on": True, "off": False}.get(reader.text("denoise") or "")
    values |= {name: reader.text(name) is not None for name in ("allow_missing", "trust_scripts")}
    options = RenderOptions(scene=scene.name)
    for name, value in values.items():
        options = reader.attempt(name, partial(replace, options, **{name: value}), options)
    return options


def _resolution(reader: _FieldReader, scene: SceneFacts) -> tuple[int, int] | None:
    """A side that is not given is the scene's own."""
    width, height = reader.number("width"), reader.number("height")
    if width is None and height is None:
        return None
    return (scene.resolution[0] if width is None else width, scene.resolution[1] if height is None else height)


def _cameras(fields: Mapping[str, str], scene: SceneFacts) -> tuple[str, ...]:
    """In the order of the scene; the farm refuses one that the scene does not have."""
    names = [name.removeprefix(CAMERA) for name in fields if name.startswith(CAMERA)]
    return tuple(sorted(names, key=lambda name: scene.cameras.index(name) if name in scene.cameras else -1))
