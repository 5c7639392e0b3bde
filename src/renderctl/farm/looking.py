"""A Blender looks at a scene where it lies, with all that it depends on; a caged one is let see only that."""

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from renderctl.blender.facts import Facts, SceneFile
from renderctl.farm import Farm
from renderctl.farm.blenders import Chosen, limits, start_session
from renderctl.farm.scratch import scratch_of

#: A container has folders of these names of its own: of what lies in them it gets single files.
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
    """What is known of a scene. Raises SessionFailed and what executors raise."""
    seen: tuple[Path, ...] = (_visible(scene),) if farm.executor.caged else ()
    facts = _looked_at(farm, scene, chosen, seen)
    for _ in range(_ROUNDS):
        more = frozenset(_out_of_sight(facts.files, seen)) if farm.executor.caged else frozenset()
        if not more:
            break
        seen = _outermost({*seen, *more})
        facts = _looked_at(farm, scene, chosen, seen)
    return facts


def _looked_at(farm: Farm, scene: Path, chosen: Chosen, seen: tuple[Path, ...]) -> Facts:
    with scratch_of(farm, "upload") as scratch:
        session = start_session(farm, chosen.blender, scratch / "session", seen, as_caller=True)
        with closing(session):
            return session.inspect(scene, limits(farm))


def _out_of_sight(files: Iterable[SceneFile], seen: tuple[Path, ...]) -> Iterable[Path]:
    """What is missing there, and may be here. A name may stand for several files: its folder is what counts."""
    for file in files:
        visible = _visible(Path(file.absolute))
        if not file.exists and visible.exists() and not any(visible.is_relative_to(folder) for folder in seen):
            yield visible


def _visible(path: Path) -> Path:
    """What a container has to see of ours, to see a file."""
    return path if path.parent in _SYSTEM else path.parent


def _outermost(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Without those that lie in others."""
    kept: list[Path] = []
    for path in sorted(paths):
        if not any(path.is_relative_to(each) for each in kept):
            kept.append(path)
    return tuple(kept)
