"""Builds render images with Docker's client program: build secrets need BuildKit, which the SDK lacks."""

import os
import re
import shutil
import subprocess
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from renderctl.core.errors import BuilderMissing, BuildFailed, InvalidInput
from renderctl.executors.images import BuildRecipe, OnBuildStep

REPOSITORY = "renderctl-blender"
OLDEST, TOO_NEW = (4, 2), (5, 1)  #: versions whose module supports Debian 12's Python
_VERSION = re.compile(r"\d+\.\d+(\.\d+)?")
#: `#7 [wheel 1/2] RUN …` begins a step, `#7 DONE 3.1s` ends it, `#7 3.141 text` is its output.
_LINE = re.compile(r"#(?P<step>\d+) (?:(?P<end>DONE|CACHED|ERROR)\b|\[(?P<begin>[^]]+)\]|[\d.]+ (?P<said>.*))")
_LAST_LINES = 12
_PINNED = re.compile(r".+@sha256:[0-9a-f]{64}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@cache
def context_dir() -> Path:
    """Return the folder of the Dockerfile: in the installed package, or in compose/ of the source tree."""
    package = Path(__file__).resolve().parents[2]
    for folder in (package / "compose" / "blender", package.parents[1] / "compose" / "blender"):
        if (folder / "Dockerfile").is_file():
            return folder
    raise FileNotFoundError(f"The recipe of render images is missing: it belongs to {package / 'compose' / 'blender'}.")


def known_versions() -> tuple[str, ...]:
    """Return the Blender versions whose module's digest is known, newest first."""
    names = [path.stem for path in (context_dir() / "wheels").glob("*.txt") if _VERSION.fullmatch(path.stem)]
    return tuple(sorted(names, key=_version_key, reverse=True))


def blender_of(recipe: BuildRecipe) -> str:
    """Return the full version of a recipe, such as 4.5.15. Raises InvalidInput."""
    known = known_versions()
    requested = known[0] if recipe.blender is None else recipe.blender
    hint = (
        f"Known: {', '.join(known)}; any release from {_format_version(OLDEST)} up to {known[0]} works, such as 4.5.14."
    )
    if not _VERSION.fullmatch(requested) or not OLDEST <= _version_key(requested)[:2] < TOO_NEW:
        raise InvalidInput(f"There is no recipe for Blender {requested}.", hint=hint)
    if requested.count(".") == 2:
        return requested
    release = next((version for version in known if version.startswith(f"{requested}.")), None)
    if release is None:
        raise InvalidInput(f"The release of Blender {requested} is not known here. Give the full version.", hint=hint)
    return release


def require_pinned(recipe: BuildRecipe) -> None:
    """Require digests, so that nobody who serves a file can change the build. Raises InvalidInput."""
    if recipe.sha256 is not None and not _SHA256.fullmatch(recipe.sha256):
        raise InvalidInput("A SHA-256 must have 64 hexadecimal digits.")
    if recipe.unpinned:
        return
    if recipe.base and not _PINNED.fullmatch(recipe.base):
        hint = f"Pin it by its digest: {recipe.base}@sha256:…; or use --unpinned for an image of your own."
        raise InvalidInput(f"The base image {recipe.base} is not pinned.", hint=hint)
    version = blender_of(recipe)
    if recipe.sha256 is None and (recipe.url or version not in known_versions()):
        what = recipe.url or f"the module of Blender {version}"
        hint = "Give its publisher's digest with --sha256, or trust the download with --unpinned."
        raise InvalidInput(f"The digest of {what} is not known.", hint=hint)


def reference_of(recipe: BuildRecipe) -> str:
    """Return the name of a recipe's image. Raises InvalidInput."""
    return recipe.reference or f"{REPOSITORY}:{blender_of(recipe)}{'-cycles' if recipe.cycles_only else ''}"


class ImageBuilder:
    """Builds images on the engine at an address."""

    def __init__(self, address: str, environment: Mapping[str, str] = os.environ) -> None:
        self._environment = {**environment, "DOCKER_HOST": address, "DOCKER_BUILDKIT": "1"}

    def build(self, recipe: BuildRecipe, on_step: OnBuildStep) -> None:
        """Build an image. Raises InvalidInput, BuilderMissing, or BuildFailed with the last lines of output."""
        reference = reference_of(recipe)
        require_pinned(recipe)
        with _secrets(recipe) as secrets:
            command = [self._program(), "build", "--progress", "plain", "--tag", reference, *_options(recipe), *secrets]
            arguments = _build_args(recipe)
            command += [
                word for name in arguments for word in ("--build-arg", name)
            ]  # their values are in the environment
            with subprocess.Popen(
                [*command, str(context_dir())],
                env=self._environment | arguments,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            ) as process:
                assert process.stdout is not None
                last_lines = _follow(process.stdout, on_step)
        if process.returncode != 0:
            raise BuildFailed(f"{reference} could not be built. The last lines:\n{last_lines}", hint=_hint(last_lines))

    def _program(self) -> str:
        """Return the first `docker` on PATH that has BuildKit, which may need a plug-in. Raises BuilderMissing."""
        for folder in self._environment.get("PATH", os.defpath).split(os.pathsep):
            program = shutil.which("docker", path=folder)
            if program and "--secret" in self._help(program):
                return program
        raise BuilderMissing()

    def _help(self, program: str) -> str:
        command = [program, "build", "--help"]
        result = subprocess.run(command, env=self._environment, capture_output=True, text=True, check=False, timeout=60)
        return result.stdout if result.returncode == 0 else ""


def _options(recipe: BuildRecipe) -> Iterator[str]:
    yield from ("--target", "program" if recipe.url else "module")
    if recipe.network:
        yield from ("--network", recipe.network)


def _build_args(recipe: BuildRecipe) -> dict[str, str]:
    named = {
        "BLENDER_VERSION": blender_of(recipe),
        "CYCLES_ONLY": "1" if recipe.cycles_only else None,
        "APT_MIRROR": recipe.apt_mirror,
        "BLENDER_URL": recipe.url,
        "BLENDER_SHA256": recipe.sha256,
        "BASE": recipe.base,
    }
    return {name: value for name, value in named.items() if value}


@contextmanager
def _secrets(recipe: BuildRecipe) -> Iterator[list[str]]:
    """Yield the options of build secrets, which must not be stored in the image. Raises InvalidInput."""
    command = []
    with TemporaryDirectory(prefix="renderctl-build-") as folder:
        if recipe.authorities:
            if not recipe.authorities.is_file():
                raise InvalidInput(f"There is no certificate file {recipe.authorities}.")
            command += ["--secret", f"id=ca,src={recipe.authorities.absolute()}"]
        if recipe.index:
            path = Path(folder) / "index"
            path.touch(0o600)
            path.write_text(recipe.index)
            command += ["--secret", f"id=index,src={path}"]
        yield command


def _follow(lines: Iterator[str], on_step: OnBuildStep) -> str:
    """Report the steps; return the last informative lines."""
    steps: dict[str, bool] = {}
    last_lines: deque[str] = deque(maxlen=_LAST_LINES)
    for line in lines:
        release = _LINE.match(line)
        if release is None:
            last_lines.extend([line.rstrip()] if _is_informative(line) else [])
        elif release["said"] is not None:
            last_lines.append(release["said"].rstrip())
        elif release["end"] or not release["begin"].startswith("internal"):
            steps[release["step"]] = bool(release["end"])
            on_step(sum(steps.values()), len(steps), release["begin"] or "")
    return "\n".join(last_lines)


def _is_informative(line: str) -> bool:
    return bool(line.strip("- \n")) and re.match(r"#\d+ (sha256:|transferring|resolve|naming|writing)", line) is None


#: Text in the last lines of a failed build -> what to do.
_HINTS = {
    "certificate": "Does a proxy intercept TLS? --ca FILE names further certificates to trust.",
    "network bridge not found": "The engine has no bridge network: --network host uses its machine's network.",
    "resolv": "Name your own servers with --apt-mirror URL and --index URL, or use --network host.",
    "no matching distribution": "This release of Blender's module does not exist; --index URL names another index.",
    "no space left": "The engine's disk is full: see `docker system df`.",
}


def _hint(last_lines: str) -> str | None:
    return next((hint for command, hint in _HINTS.items() if command in last_lines.lower()), None)


def _version_key(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version.split("."))


def _format_version(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
