"""Generating the scripts of sessions from Jinja templates. Only this module uses Jinja.

Values enter a script only as Python literals, by the filter `literal`: an object called `"); import os` stays a
name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from renderctl.blender.events import MAX_EVENT_CHARS
from renderctl.blender.templates import templates_dir
from renderctl.core.jobs import QUALITIES, RenderOptions
from renderctl.core.limits import MAX_DEPENDENCIES

if TYPE_CHECKING:  # a prewarmed Blender starts while this is imported
    import jinja2

#: The most characters of an event beside its facts.
_ENVELOPE_CHARS = 1000


@dataclass(frozen=True)
class RenderPlan:
    """What a session opens and how it renders."""

    scene: Path  #: absolute
    options: RenderOptions = field(default_factory=RenderOptions)
    cameras: tuple[str, ...] = ()  #: cameras of the tasks, checked when the scene is opened
    relocations: dict[str, str] = field(default_factory=dict)  #: absolute folder of the uploader -> folder here
    replacements: tuple[tuple[str, Path], ...] = ()  #: object -> absolute path of the model that replaces it
    threads: int = 0  #: 0: one per core
    in_order: bool = False  #: step through earlier frames: a simulation is not baked
    trust_scripts: bool = False  #: requested by the job and allowed by the worker
    template: Path | None = None  #: a user's template, instead of render.py.j2


def inspect_script(scene: Path, within: Path | None = None, names: Mapping[Path, Sequence[str]] | None = None) -> str:
    """Return the script that reports the facts of a scene; files outside `within` count as missing.

    `names`: the files of folders that the session cannot list.
    """
    folder = str(within) if within is not None else None
    listings = {str(path): list(files) for path, files in (names or {}).items()}
    template = _environment(templates_dir()).get_template("inspect.py.j2")
    return template.render(
        scene=str(scene),
        within=folder,
        names=listings,
        most_files=MAX_DEPENDENCIES,
        most_chars=MAX_EVENT_CHARS - _ENVELOPE_CHARS,
    )


def devices_script() -> str:
    """Return the script that reports Blender's devices."""
    return _environment(templates_dir()).get_template("devices.py.j2").render()


def render_script(plan: RenderPlan) -> str:
    """Return the script that renders the tasks of a job."""
    path = plan.template or templates_dir() / "render.py.j2"
    options = asdict(plan.options)
    options["quality"] = QUALITIES[plan.options.quality] if plan.options.quality else None
    options["threads"] = plan.threads
    options["trust_scripts"] = plan.trust_scripts
    del options["settings"], options["replacements"]
    return (
        _environment(path.parent)
        .get_template(path.name)
        .render(
            scene=str(plan.scene),
            options=options,
            settings=dict(plan.options.settings),
            cameras=list(plan.cameras),
            relocations=dict(plan.relocations),
            replacements=[[name, str(file)] for name, file in plan.replacements],
            in_order=plan.in_order,
        )
    )


def literal(value: Any) -> str:
    """Return the value as a Python literal on one line of ASCII. Raises TypeError for other types."""
    if value is None or isinstance(value, bool | int | float):
        return repr(value)
    if isinstance(value, str):
        return ascii(str(value))
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(literal, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{literal(key)}: {literal(item)}" for key, item in value.items()) + "}"
    raise TypeError(f"A {type(value).__name__} cannot be put into a script.")


def _environment(folder: Path) -> "jinja2.Environment":
    import jinja2

    loader = jinja2.FileSystemLoader([folder, templates_dir()])
    environment = jinja2.Environment(
        loader=loader,
        undefined=jinja2.StrictUndefined,
        autoescape=False,
        keep_trailing_newline=True,
        finalize=_only_literals,
    )
    environment.filters["literal"] = _marked_literal
    return environment


class _Literal(str):
    """Source text written by the filter."""


def _marked_literal(value: Any) -> _Literal:
    return _Literal(literal(value))


def _only_literals(value: Any) -> Any:
    """Refuse values that did not pass the filter, in users' templates, too."""
    import jinja2

    if isinstance(value, _Literal | jinja2.Undefined):
        return value
    raise TypeError("A value enters a script through the filter `literal` only: {{ value | literal }}.")
