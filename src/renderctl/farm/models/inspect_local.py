"""A Blender looks at a scene where it lies, with all that it depends on, and is let see only that.

What is one's own on one's own machine: the folder of the scene, and the folders that it names. Of a folder that holds
what is nobody's business (a home, the config, `data_dir`) it sees single files, and is told the names of the others.
"""

import os
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from renderctl.core.errors import InvalidInput
from renderctl.farm import Farm
from renderctl.farm.blenders import BlenderChoice, limits, start_session
from renderctl.farm.scratch import scratch_of

if TYPE_CHECKING:  # a Blender that is started ahead starts while the rest is imported
    from renderctl.blender.facts import Facts

#: They are everybody's, and a container has its own of these names: of what lies in them it gets single files.
_SYSTEM = frozenset(
    Path("/", name)
    for name in (
        "",
        "bin",
        "boot",
        "dev",
        "etc",
        "lib",
        "lib64",
        "opt",
        "proc",
        "run",
        "sbin",
        "sys",
        "tmp",
        "usr",
        "var",
    )
)
#: A library may name what names another one: so often it is looked again for what was out of sight before.
_ROUNDS = 8


def inspect_scene(farm: Farm, scene: Path, chosen: BlenderChoice) -> "Facts":
    """What is known of a scene.

    Raises SessionFailed, InvalidInput where the scene needs what no session may read, and what executors raise.
    """
    seen, listed = beside(farm, scene), frozenset[Path]()
    facts = _looked_at(farm, scene, chosen, seen, listed)
    for _ in range(_ROUNDS):
        more = out_of_sight(farm, facts, seen) - listed
        if not more:
            break
        openable = {path for path in more if not path.is_dir() or _is_openable(farm, path)}
        seen, listed = _outermost({*seen, *openable}), listed | (more - openable)
        facts = _looked_at(farm, scene, chosen, seen, listed)
    return facts


def beside(farm: Farm, scene: Path) -> tuple[Path, ...]:
    """What a session has to see of ours to look at a scene where it lies. Raises InvalidInput."""
    return _outermost({_visible(farm, path) for path in (scene, scene.resolve())})


def out_of_sight(farm: Farm, facts: "Facts", seen: tuple[Path, ...]) -> frozenset[Path]:
    """What a session did not see that looked at a scene, and that it needs; folders that it may not open, too.

    Raises InvalidInput for what no session may know of.
    """
    paths = [Path(path) for path in facts.hidden]
    if farm.executor.isolated:  # what it is not given is not there at all
        paths += [Path(file.absolute) for file in facts.files if not file.exists]
    unseen = (path for path in paths if not any(path.is_relative_to(folder) for folder in seen))
    return frozenset(visible for path in unseen if (visible := _visible(farm, path)).exists())


def _looked_at(
    farm: Farm, scene: Path, chosen: BlenderChoice, seen: tuple[Path, ...], listed: frozenset[Path] = frozenset()
) -> "Facts":
    with scratch_of(farm, "upload") as scratch:
        session = start_session(farm, chosen.blender, scratch / "session", seen, as_current_user=True)
        with closing(session):
            return session.inspect(scene, limits(farm), names={folder: _names(folder) for folder in listed})


def _names(folder: Path) -> list[str]:
    """The files of a folder that a session may not open: their names are all that a sequence needs."""
    with suppress(OSError):
        return sorted(entry.name for entry in os.scandir(folder) if entry.is_file() and entry.name[0] != ".")
    return []


def _visible(farm: Farm, path: Path) -> Path:
    """What a session has to see of ours, to see a file or what is in a folder."""
    folder = path if path.is_dir() else path.parent
    if _is_openable(farm, folder):
        return folder
    if not farm.executor.may_read(path / "file" if path == folder else path):
        raise InvalidInput(
            f"The scene needs {path}, which no session may read: it is private to you or to the farm.",
            hint="Put the scene and its files into a folder of their own.",
        )
    return path


def _is_openable(farm: Farm, folder: Path) -> bool:
    return folder not in _SYSTEM and farm.executor.may_read(folder)


def _outermost(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Without those that lie in others."""
    kept: list[Path] = []
    for path in sorted(paths):
        if not any(path.is_relative_to(folder) for folder in kept):
            kept.append(path)
    return tuple(kept)
