"""The options that `render` and `submit` share, in three panels, and what they come to."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from renderctl.cli.params import non_empty
from renderctl.core.errors import InvalidInput, UsageError
from renderctl.farm.jobs.submit import SubmitRequest
from renderctl.farm.models.outside_files import include_outside as include_them
from renderctl.farm.models.outside_files import refuse_outside

Command = TypeVar("Command", bound=Callable[..., Any])
_WHAT, _IMAGE, _QUEUE = "What to render", "How the image is made", "How the job is queued"


def _option(*names: str, help: str, panel: str, value: str | None = None, **more: Any) -> Any:
    return typer.Option(*names, help=help, metavar=value, rich_help_panel=panel, show_default=False, **more)


def _scene_options(
    request: SubmitRequest,
    frames: Annotated[
        str | None,
        _option("--frames", "-f", value="FRAMES", help="1-100,120,200-300x2; default: the current frame.", panel=_WHAT),
    ] = None,
    animation: Annotated[bool, _option("--animation", "-a", help="Render the scene's own range.", panel=_WHAT)] = False,
    camera: Annotated[
        list[str] | None,
        _option("--camera", "-c", value="NAME", help="A camera's name (repeatable), or all.", panel=_WHAT),
    ] = None,
    scene_name: Annotated[
        str | None, _option("--scene", value="NAME", help="A scene of the file.", panel=_WHAT)
    ] = None,
    view_layer: Annotated[
        str | None, _option("--view-layer", value="NAME", help="Only this view layer.", panel=_WHAT)
    ] = None,
    placed: Annotated[
        list[str] | None,
        _option(
            "--replace",
            value="OBJECT=FILE",
            help="Replace an object by an FBX, glTF, OBJ or .blend file (repeatable).",
            panel=_WHAT,
        ),
    ] = None,
    allow_missing: Annotated[
        bool, _option("--allow-missing", help="Render even if files are missing.", panel=_WHAT)
    ] = False,
    include_outside: Annotated[
        bool, _option("--include-outside", help="Include files outside the scene's folder.", panel=_WHAT)
    ] = False,
    trust_scripts: Annotated[
        bool, _option("--trust-scripts", help="Run scripts inside the scene.", panel=_WHAT)
    ] = False,
) -> SubmitRequest:
    options = replace(
        request.options,
        scene=scene_name,
        view_layer=view_layer,
        allow_missing=allow_missing,
        trust_scripts=trust_scripts,
    )
    replacements = {
        object_name: Path(file) for object_name, file in _pairs(placed or (), "--replace", "OBJECT=FILE").items()
    }
    return replace(
        request,
        options=options,
        frames=frames,
        animation=animation,
        cameras=tuple(camera or ()),
        replacements=replacements,
        on_outside=include_them if include_outside else refuse_outside,
    )


def _image_options(
    request: SubmitRequest,
    engine: Annotated[
        str | None, _option("--engine", value="NAME", help="cycles, eevee or workbench.", panel=_IMAGE)
    ] = None,
    samples: Annotated[int | None, _option("--samples", value="N", help="Samples per pixel.", panel=_IMAGE)] = None,
    resolution: Annotated[
        str | None, _option("--resolution", value="WxH", help="Such as 1920x1080.", panel=_IMAGE)
    ] = None,
    percentage: Annotated[
        int | None, _option("--percentage", value="N", help="Percentage of the resolution.", panel=_IMAGE)
    ] = None,
    quality: Annotated[
        str | None,
        _option("--quality", value="SIZE", help="1k, 2k or 4k: the longer side, and samples to match.", panel=_IMAGE),
    ] = None,
    image_format: Annotated[
        str | None,
        _option("--format", value="NAME", help="PNG, JPEG, OPEN_EXR, OPEN_EXR_MULTILAYER, WEBP or TIFF.", panel=_IMAGE),
    ] = None,
    device: Annotated[
        str, _option("--device", value="NAME", help="auto, cpu, cuda, optix, hip, metal or oneapi.", panel=_IMAGE)
    ] = "auto",
    blender: Annotated[
        str | None,
        _option(
            "--blender",
            value="VERSION",
            help="Blender version, such as 4.5. Default: the nearest to the scene's own.",
            panel=_IMAGE,
        ),
    ] = None,
    denoise: Annotated[
        bool | None, _option("--denoise/--no-denoise", help="Default: as the scene says.", panel=_IMAGE)
    ] = None,
    settings: Annotated[
        list[str] | None,
        _option(
            "--set",
            value="KEY=VALUE",
            help="Any render property, such as cycles.max_bounces=4 (repeatable).",
            panel=_IMAGE,
        ),
    ] = None,
) -> SubmitRequest:
    options = replace(
        request.options,
        engine=engine.lower() if engine else None,
        samples=samples,
        resolution=_resolution(resolution),
        percentage=percentage,
        quality=quality.lower() if quality else None,
        format=_format(image_format),
        device=device.lower(),
        denoise=denoise,
        settings=_pairs(settings or (), "--set", "KEY=VALUE"),
        blender=blender,
    )
    return replace(request, options=options)


def _queue_options(
    request: SubmitRequest,
    name: Annotated[
        str | None,
        _option("--name", value="NAME", parser=non_empty, help="The job's name; default: the model's.", panel=_QUEUE),
    ] = None,
    project: Annotated[
        str | None,
        _option("--project", value="NAME", help="Default: yours, if you are in one; else default.", panel=_QUEUE),
    ] = None,
    pool: Annotated[
        str, _option("--pool", value="NAME", help="Pool whose workers render it. Default: default.", panel=_QUEUE)
    ] = "default",
    priority: Annotated[int, _option("--priority", value="N", help="0 to 10, 10 first. Default: 5.", panel=_QUEUE)] = 5,
    after: Annotated[
        list[str] | None,
        _option("--after", value="JOB", help="A job that has to succeed first (repeatable).", panel=_QUEUE),
    ] = None,
    after_any: Annotated[
        list[str] | None,
        _option("--after-any", value="JOB", help="A job that has to end first, in any way (repeatable).", panel=_QUEUE),
    ] = None,
    max_slots: Annotated[
        int | None, _option("--max-slots", value="N", help="Maximum number of concurrent frames.", panel=_QUEUE)
    ] = None,
    attempts: Annotated[
        int, _option("--attempts", value="N", help="Maximum attempts for each frame. Default: 3.", panel=_QUEUE)
    ] = 3,
    frame_timeout: Annotated[
        float | None, _option("--frame-timeout", value="SECONDS", help="Maximum seconds for one frame.", panel=_QUEUE)
    ] = None,
) -> SubmitRequest:
    return replace(
        request,
        name=name,
        project=project,
        pool=pool,
        priority=priority,
        max_slots=max_slots,
        max_attempts=attempts,
        frame_timeout_s=frame_timeout,
        after=tuple(after or ()),
        after_any=tuple(after_any or ()),
    )


#: What adds the options of each panel to a request; its parameters are the options.
_PANELS: tuple[Callable[..., SubmitRequest], ...] = (_scene_options, _image_options, _queue_options)


def _options_of(panel: Callable[..., SubmitRequest]) -> list[inspect.Parameter]:
    return list(inspect.signature(panel).parameters.values())[1:]


def is_default(request: SubmitRequest) -> bool:
    """Whether no render option was given."""
    return request == SubmitRequest()


def with_render_options(command: Command) -> Command:
    """Give a command the render options; it gets what they come to as its parameter `request`."""
    shared = [option for panel in _PANELS for option in _options_of(panel)]

    @wraps(command)
    def called(**values: Any) -> Any:
        request = SubmitRequest()
        for panel in _PANELS:
            given = {option.name: values.pop(option.name) for option in _options_of(panel) if option.name in values}
            request = panel(request, **given)
        return command(request=request, **values)

    own = [parameter for parameter in inspect.signature(command).parameters.values() if parameter.name != "request"]
    called.__signature__ = inspect.Signature([*own, *shared])  # type: ignore[attr-defined]
    called.__annotations__ = {parameter.name: parameter.annotation for parameter in (*own, *shared)}
    return called  # type: ignore[return-value]


def _resolution(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    width, cross, height = text.lower().partition("x")
    if not (cross and width.strip().isdecimal() and height.strip().isdecimal()):
        raise InvalidInput(f"{text!r} is not a resolution.", hint="It looks like 1920x1080: width x height in pixels.")
    return int(width), int(height)


def _format(text: str | None) -> str | None:
    if text is None:
        return None
    other = {"JPG": "JPEG", "EXR": "OPEN_EXR", "TIF": "TIFF", "MULTILAYER": "OPEN_EXR_MULTILAYER"}
    name = text.upper().replace("-", "_")
    return other.get(name, name)


def _pairs(texts: Sequence[str], option: str, form: str) -> dict[str, str]:
    pairs = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not (key.strip() and equals):
            raise UsageError(f"{option} {text!r} is not of the form {form}.")
        pairs[key.strip()] = value
    return pairs
