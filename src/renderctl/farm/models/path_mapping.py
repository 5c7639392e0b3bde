"""Where the files of a scene lie below one root, so that it renders where none of the originals exist.

Everything keeps its place relative to everything else: the root is the deepest directory that holds them all, so
relative paths stay true without a byte of the .blend being changed. Absolute paths are moved when a session opens the
scene, by one relocation: from the root as it was to the root as it is.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

#: Files that belong to one job only lie here, below the root of its model.
JOB_INPUTS = "_inputs"


@dataclass(frozen=True)
class PathMapping:
    root: Path  #: absolute, where the files were
    stored: Mapping[Path, str]  #: absolute source -> POSIX path below the root

    @property
    def relocations(self) -> dict[str, str]:
        return {str(self.root): "."}


def map_paths(scene: Path, sources: Iterable[Path]) -> PathMapping:
    """A place for the scene and every file that it names; all paths absolute."""
    files = [_normal(scene), *map(_normal, sources)]
    root = Path(os.path.commonpath([file.parent for file in files]))
    return PathMapping(root, {file: file.relative_to(root).as_posix() for file in files})


def _normal(path: Path) -> Path:
    return Path(os.path.normpath(path.absolute()))
