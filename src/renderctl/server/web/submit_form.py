"""A form says how a model is to be rendered: what it comes to, and which of its fields are wrong."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from renderctl.core.errors import BadFrames, Conflict, InvalidInput, MissingFiles, RenderctlError
from renderctl.core.jobs import RenderOptions
from renderctl.core.models import SceneFacts
from renderctl.farm.jobs.submit import SubmitRequest

#: Before the name of a camera, where its box is ticked.
CAMERA = "camera:"
_OPTIONS = ("view_layer", "engine", "quality", "format")
_NUMBERS = ("samples", "percentage")


@dataclass(frozen=True)
class ParsedForm:
    """What a form asks for; what is wrong about it, by the name of the field (empty: of the form as a whole)."""

    request: SubmitRequest
    wrong: Mapping[str, RenderctlError]


def parse(said: Mapping[str, str], scene: SceneFacts, model: str) -> ParsedForm:
    """The request that a form makes. Frames, numbers and names are judged by those who judge the command line's."""
    reading = _Reading(said)
    priority, attempts = reading.number("priority"), reading.number("attempts")
    request = SubmitRequest(
        options=_options(reading, scene),
        cameras=_cameras(said, scene),
        name=reading.text("name") or model,
        project=reading.text("project"),
        pool=reading.text("pool") or "default",
        priority=5 if priority is None else priority,
        max_attempts=3 if attempts is None else attempts,
        paused="paused" in said,
        idempotency_key=reading.text("key"),
    )
    which = said.get("which", "range")
    frames = said.get("frames", "") if which == "these" else None
    request = reading.tried("frames", lambda: replace(request, frames=frames, animation=which == "range"), request)
    return ParsedForm(request, reading.wrong)


def field_of(error: RenderctlError) -> str:
    """Where what the farm says of a submission belongs in the form."""
    kinds = {BadFrames: "frames", MissingFiles: "allow_missing"}
    return next((field for kind, field in kinds.items() if isinstance(error, kind)), "")


def form_message(error: RenderctlError) -> RenderctlError:
    """What the farm says of a submission, where a form has other means than a command line."""
    if isinstance(error, MissingFiles):
        return MissingFiles("The scene needs files that are missing.", hint="Say so if it is to be rendered without.")
    if type(error) is Conflict:
        hint = "Submit it again to make another job."
        return Conflict("A job was made of this form already, as it was before.", hint=hint)
    return error


class _Reading:
    """Reads fields, and remembers what is wrong with them."""

    def __init__(self, said: Mapping[str, str]) -> None:
        self._said = said
        self.wrong: dict[str, RenderctlError] = {}

    def text(self, name: str) -> str | None:
        return self._said.get(name, "").strip() or None

    def number(self, name: str) -> int | None:
        text = self.text(name)
        if text is None or (text.lstrip("+-").isdecimal() and len(text) <= 12):
            return int(text) if text else None
        self.wrong[name] = InvalidInput(f"{text[:40]!r} is not a whole number.")
        return None

    def tried(self, name: str, make: Callable[[], Any], otherwise: Any) -> Any:
        """What is made, or what is there otherwise when that field is wrong."""
        try:
            return make()
        except InvalidInput as error:
            self.wrong[name] = error
            return otherwise


def _options(reading: _Reading, scene: SceneFacts) -> RenderOptions:
    wanted: dict[str, Any] = {name: reading.text(name) for name in _OPTIONS}
    wanted |= {name: reading.number(name) for name in _NUMBERS}
    wanted["resolution"] = _resolution(reading, scene)
    wanted["denoise"] = {"on": True, "off": False}.get(reading.text("denoise") or "")
    wanted |= {name: reading.text(name) is not None for name in ("allow_missing", "trust_scripts")}
    options = RenderOptions(scene=scene.name)
    for name, value in wanted.items():
        options = reading.tried(name, partial(replace, options, **{name: value}), options)
    return options


def _resolution(reading: _Reading, scene: SceneFacts) -> tuple[int, int] | None:
    """Of a side that is not given, the scene's own."""
    width, height = reading.number("width"), reading.number("height")
    if width is None and height is None:
        return None
    return (scene.resolution[0] if width is None else width, scene.resolution[1] if height is None else height)


def _cameras(said: Mapping[str, str], scene: SceneFacts) -> tuple[str, ...]:
    """In the order of the scene; one that it does not have is for the farm to refuse."""
    wanted = [name.removeprefix(CAMERA) for name in said if name.startswith(CAMERA)]
    return tuple(sorted(wanted, key=lambda name: scene.cameras.index(name) if name in scene.cameras else -1))
