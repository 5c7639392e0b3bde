"""Files that a scene names outside its own folder: whoever sends the scene sees them named before they go along."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from renderctl.blender.facts import SceneFile
from renderctl.core.errors import OutsideFiles
from renderctl.core.settings import Settings

#: Files that a message names.
_SHOWN = 20
#: How the address of a container engine of this machine begins.
_LOCAL_ENGINES = ("unix", "npipe", "")


@dataclass(frozen=True)
class OutsideFile:
    path: Path  #: where it really lies
    size: int  #: bytes
    owner: str  #: what names it, such as `Image: wood`


@dataclass(frozen=True)
class Outside:
    """What lies elsewhere than below the folder of a scene and the `upload.roots` of the config."""

    folder: Path
    files: tuple[OutsideFile, ...]

    @property
    def lines(self) -> list[str]:
        """What a person is shown: where each file lies, how large it is, and what names it."""
        count = f"{len(self.files)} files" if len(self.files) > 1 else "a file"
        named = [(printable(str(file.path)), f"{file.size:,} bytes, {printable(file.owner)}") for file in self.files]
        shown = [f"  {path}  ({about})" for path, about in named]
        more = [f"  … and {len(shown) - _SHOWN} more"] if len(shown) > _SHOWN else []
        return [f"The scene names {count} outside its folder {printable(str(self.folder))}:", *shown[:_SHOWN], *more]

    def error(self) -> OutsideFiles:
        """The error that lists them all."""
        root = _common_root(self.folder, self.files)
        hint = (
            "Is every one of them meant to go along? Then --include-outside takes them. Files below "
            f"`upload: {{roots: [{root or '~/projects'}]}}` of the config go without a question."
        )
        files = [{"path": str(file.path), "size": file.size, "owner": file.owner} for file in self.files]
        return OutsideFiles("\n".join(self.lines), hint=hint, files=files)


#: Called before files from outside are read or sent; raises OutsideFiles if they are not to go along.
OnOutside = Callable[[Outside], None]


def refuse_outside(outside: Outside) -> None:
    """For programs, which can not be asked. Raises OutsideFiles."""
    raise outside.error()


def include_outside(_outside: Outside) -> None:
    """For whoever has said so, and where nothing leaves this machine."""


def check_outside(settings: Settings, folder: Path, sources: Mapping[Path, str], on_outside: OnOutside) -> None:
    """Have it decided what becomes of those of the `sources`, each with what names it, that lie outside `folder`.

    What counts is where a file really lies: a link below the folder that leads out of it is outside. So are hidden
    files, keys and passwords among them, and all files where the folder is a home, or holds homes.
    """
    own = folder.resolve()
    inside = [Path(root).expanduser().resolve() for root in settings.upload.roots]
    inside += [] if _holds_a_home(own) else [own]
    real = {source: source.resolve() for source in sources}
    outside = [source for source in sources if not any(_is_below(real[source], root) for root in inside)]
    if outside:
        files = {real[source]: OutsideFile(real[source], _size(source), sources[source]) for source in outside}
        on_outside(Outside(folder, tuple(files[path] for path in sorted(files))))


def leaves_this_machine(settings: Settings, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the files of a scene go anywhere else when it is rendered: to services, or to an engine elsewhere."""
    if settings.names_services:
        return True
    engine = settings.executor.host or environment.get("DOCKER_HOST", "")
    return settings.executor.kind == "docker" and urlsplit(engine).scheme not in _LOCAL_ENGINES


def printable(text: str) -> str:
    """The text with what a terminal would not show as itself spelled out: nothing hides in the name of a file."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def _common_root(folder: Path, files: Sequence[OutsideFile]) -> Path | None:
    """The folder that holds a scene and what lies outside; None: it holds much else, too."""
    common = Path(os.path.commonpath([folder.resolve(), *(file.path.parent for file in files)]))
    return common if len(common.parts) > 2 and not _holds_a_home(common) else None


def _is_below(path: Path, root: Path) -> bool:
    """Whether it lies there, and is not hidden."""
    return path.is_relative_to(root) and not any(part.startswith(".") for part in path.relative_to(root).parts)


def _holds_a_home(folder: Path) -> bool:
    try:
        home = Path.home().resolve()
    except RuntimeError:  # a container's user without one
        return folder == Path("/")
    return folder == home or folder in home.parents


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # whoever reads it says so
        return 0


def owners(files: Iterable[SceneFile]) -> dict[Path, str]:
    """The files of a scene that exist, and what names each."""
    return {Path(os.path.normpath(file.absolute)): file.owner for file in files if file.exists}
