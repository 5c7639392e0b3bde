"""A Blender looks at a scene where it lies, with all that it depends on, and is let see only that.

What is one's own on one's own machine: the folder of the scene, and the folders that it names. Of a folder that holds
what is nobody's business (a home, the config, `data_dir`) it sees single files.
"""

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from renderctl.blender.facts import Facts
from renderctl.errors import InvalidInput
from renderctl.farm import Farm
from renderctl.farm.blenders import Chosen, limits, start_session
from renderctl.farm.scratch import scratch_of

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


def look_at(farm: Farm, scene: Path, chosen: Chosen) -> Facts:
    """What is known of a scene.

    Raises SessionFailed, InvalidInput where the scene needs what no session may read, and what executors raise.
    """
    seen = beside(farm, scene)
    facts = _looked_at(farm, scene, chosen, seen)
    for _ in range(_ROUNDS):
        more = out_of_sight(farm, facts, seen)
        if not more:
            break
        seen = _outermost({*seen, *more})
        facts = _looked_at(farm, scene, chosen, seen)
    return facts


def beside(farm: Farm, scene: Path) -> tuple[Path, ...]:
    """What a session has to see of ours to look at a scene where it lies. Raises InvalidInput."""
    return _outermost({_visible(farm, path) for path in (scene, scene.resolve())})


def out_of_sight(farm: Farm, facts: Facts, seen: tuple[Path, ...]) -> frozenset[Path]:
    """What a session did not see that looked at a scene, and may. Raises InvalidInput for what it needs and may not."""
    paths = [Path(path) for path in facts.hidden]
    if farm.executor.caged:  # what it is not given is not there at all
        paths += [Path(file.absolute) for file in facts.files if not file.exists]
    unseen = (path for path in paths if not any(path.is_relative_to(folder) for folder in seen))
    return frozenset(visible for path in unseen if (visible := _visible(farm, path)).exists())


def _looked_at(farm: Farm, scene: Path, chosen: Chosen, seen: tuple[Path, ...]) -> Facts:
    with scratch_of(farm, "upload") as scratch:
        session = start_session(farm, chosen.blender, scratch / "session", seen, as_caller=True)
        with closing(session):
            return session.inspect(scene, limits(farm))


def _visible(farm: Farm, path: Path) -> Path:
    """What a session has to see of ours, to see a file or what is in a folder."""
    folder = path if path.is_dir() else path.parent
    if folder not in _SYSTEM and farm.executor.may_read(folder):
        return folder
    if path == folder or not farm.executor.may_read(path):
        raise InvalidInput(
            f"The scene needs {path}, which no session may read: it is, or holds, what is private to you or the farm.",
            hint="Put the scene and its files into a folder of their own.",
        )
    return path


def _outermost(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Without those that lie in others."""
    kept: list[Path] = []
    for path in sorted(paths):
        if not any(path.is_relative_to(each) for each in kept):
            kept.append(path)
    return tuple(kept)
