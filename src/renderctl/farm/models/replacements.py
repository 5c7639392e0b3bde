"""Files that take the place of objects in a scene, and what they need beside themselves."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from renderctl.core.errors import InvalidInput, SceneNotFound
from renderctl.core.jobs import Input, Replacement
from renderctl.farm import Farm
from renderctl.farm.models.file_hashes import hash_files
from renderctl.farm.models.outside_files import OnOutside, check_outside
from renderctl.farm.models.path_mapping import JOB_INPUTS

#: What `--replace` takes.
REPLACEMENT_KINDS = (".blend", ".fbx", ".glb", ".gltf", ".obj")


def replacing_files(
    farm: Farm, wanted: Mapping[str, Path], on_outside: OnOutside
) -> tuple[dict[str, Path], tuple[Replacement, ...]]:
    """Where each file goes among the inputs, and what each replaces.

    Raises SceneNotFound, InvalidInput, and OutsideFiles for what a model names and a link has led elsewhere.
    """
    sources: dict[str, Path] = {}
    placed = []
    for number, (name, source) in enumerate(wanted.items(), 1):
        path = source.expanduser().absolute()
        if not path.is_file():
            raise SceneNotFound(f"There is no file {source} to replace {name!r} with.")
        if path.suffix.lower() not in REPLACEMENT_KINDS:
            raise InvalidInput(f"{source} can not replace {name!r}.", hint=f"It takes {', '.join(REPLACEMENT_KINDS)}.")
        folder = f"{JOB_INPUTS}/{number}"
        companions = _companions(path)
        check_outside(farm.settings, path.parent, dict.fromkeys(companions, path.name), on_outside)
        for file in (path, *companions):
            sources[f"{folder}/{file.relative_to(path.parent).as_posix()}"] = file
        placed.append(Replacement(name, f"{folder}/{path.name}"))
    return sources, tuple(placed)


def hashed_inputs(farm: Farm, sources: Mapping[str, Path]) -> dict[Path, Input]:
    """The files, as what they are among the inputs. Raises SceneNotFound, FileChanged."""
    hashed = hash_files(farm, set(sources.values()))
    return {source: Input(place, hashed[source].digest, hashed[source].size) for place, source in sources.items()}


def _companions(model: Path) -> list[Path]:
    """What an OBJ or a glTF needs beside itself: its materials, buffers and images, in its folder or one below."""
    if model.suffix.lower() not in (".obj", ".gltf"):
        return []
    kinds = {".mtl", ".bin", ".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".exr"}
    candidates = [*model.parent.glob("*"), *model.parent.glob("*/*")]
    text = model.read_text(encoding="utf-8", errors="replace") if model.stat().st_size < 1 << 26 else ""
    return [
        file
        for file in candidates
        if file.suffix.lower() in kinds and file.is_file() and _named(file, text, candidates)
    ]


def _named(file: Path, text: str, found: Sequence[Path]) -> bool:
    """Whether the model, or a material file beside it, names the file."""
    texts = [text, *(file.read_text(errors="replace") for file in found if file.suffix.lower() == ".mtl")]
    return any(file.name in content for content in texts)
