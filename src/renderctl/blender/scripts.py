"""The scripts that sessions run, rendered from the templates. Only this module knows Jinja.

A value enters a script in one way: as the Python literal that the filter `literal` writes. An object may be called
`"); import os` and stays a name.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from renderctl.blender.events import MAX_EVENT_CHARS
from renderctl.blender.templates import templates_dir
from renderctl.core.jobs import QUALITIES, RenderOptions
from renderctl.core.limits import MAX_DEPENDENCIES

if TYPE_CHECKING:  # a Blender that is started ahead starts while this is imported
    import jinja2

#: Characters of an event that are not its facts, at most.
_ENVELOPE_CHARS = 1000


@dataclass(frozen=True)
class RenderPlan:
    """What a session is to open, and how."""

    scene: Path  #: absolute
    options: RenderOptions = field(default_factory=RenderOptions)
    cameras: tuple[str, ...] = ()  #: those that tasks will name: checked when the scene is opened
    relocations: dict[str, str] = field(default_factory=dict)  #: absolute folder of the submitter -> folder here
    replacements: tuple[tuple[str, Path], ...] = ()  #: object, absolute path of the model that takes its place
    threads: int = 0  #: 0: as many as there are cores
    in_order: bool = False  #: play the frames before a frame, too: a simulation is not baked
    trust_scripts: bool = False  #: what the job asks for and this machine allows
    template: Path | None = None  #: of a user, in place of ours


def inspect_script(scene: Path, within: Path | None = None, names: Mapping[Path, Sequence[str]] | None = None) -> str:
    """The script that says what is known of a scene, for which there are no files but those below `within`.

    `names`: the files of folders that it will not be able to list.
    """
    folder = str(within) if within is not None else None
    listed = {str(path): list(files) for path, files in (names or {}).items()}
    template = _environment(templates_dir()).get_template("inspect.py.j2")
    return template.render(
        scene=str(scene),
        within=folder,
        names=listed,
        most_files=MAX_DEPENDENCIES,
        most_chars=MAX_EVENT_CHARS - _ENVELOPE_CHARS,
    )


def devices_script() -> str:
    """The script that says what a Blender can render on."""
    return _environment(templates_dir()).get_template("devices.py.j2").render()


def render_script(plan: RenderPlan) -> str:
    """The script that renders the tasks of a job."""
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
    """The value as Python source that means just this value, in one line of ASCII. Raises TypeError for others."""
    if value is None or isinstance(value, bool | int | float):
        return repr(value)
    if isinstance(value, str):
        return ascii(str(value))
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(literal, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{literal(key)}: {literal(each)}" for key, each in value.items()) + "}"
    raise TypeError(f"A {type(value).__name__} can not be put into a script.")


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
    """Source that the filter has written."""


def _marked_literal(value: Any) -> _Literal:
    return _Literal(literal(value))


def _only_literals(value: Any) -> Any:
    """Refuse to write a value that did not pass the filter, in users' templates too."""
    import jinja2

    if isinstance(value, _Literal | jinja2.Undefined):
        return value
    raise TypeError("A value enters a script through the filter `literal` only: {{ value | literal }}.")
