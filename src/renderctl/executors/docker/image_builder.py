"""Building a render image, with Docker's own client program: secrets need BuildKit, which the SDK does not speak."""

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
from renderctl.executors.images import OnStep, Recipe

REPOSITORY = "renderctl-blender"
OLDEST, TOO_NEW = (4, 2), (5, 1)  #: the versions whose module is for Debian 12's Python
_VERSION = re.compile(r"\d+\.\d+(\.\d+)?")
#: `#7 [wheel 1/2] RUN …` begins a step, `#7 DONE 3.1s` ends it, `#7 3.141 words` is what it prints.
_LINE = re.compile(r"#(?P<step>\d+) (?:(?P<end>DONE|CACHED|ERROR)\b|\[(?P<begin>[^]]+)\]|[\d.]+ (?P<said>.*))")
_LAST_LINES = 12
_PINNED = re.compile(r".+@sha256:[0-9a-f]{64}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@cache
def context_dir() -> Path:
    """Where the Dockerfile lies: inside the installed package, or in compose/ of the source tree."""
    package = Path(__file__).resolve().parents[2]
    for folder in (package / "compose" / "blender", package.parents[1] / "compose" / "blender"):
        if (folder / "Dockerfile").is_file():
            return folder
    raise FileNotFoundError(f"The recipe of render images is missing: it belongs to {package / 'compose' / 'blender'}.")


def known_versions() -> tuple[str, ...]:
    """The Blenders whose module we know by its digest, newest first."""
    names = [path.stem for path in (context_dir() / "wheels").glob("*.txt") if _VERSION.fullmatch(path.stem)]
    return tuple(sorted(names, key=_numbers, reverse=True))


def blender_of(recipe: Recipe) -> str:
    """The whole version that a recipe means. Raises InvalidInput."""
    known = known_versions()
    wanted = known[0] if recipe.blender is None else recipe.blender
    hint = f"There is {', '.join(known)}; any release from {_spell(OLDEST)} up to {known[0]} works, such as 4.5.14."
    if not _VERSION.fullmatch(wanted) or not OLDEST <= _numbers(wanted)[:2] < TOO_NEW:
        raise InvalidInput(f"There is no recipe for Blender {wanted}.", hint=hint)
    if wanted.count(".") == 2:
        return wanted
    found = next((each for each in known if each.startswith(f"{wanted}.")), None)
    if found is None:
        raise InvalidInput(f"Which release of Blender {wanted}? Name it whole.", hint=hint)
    return found


def require_pinned(recipe: Recipe) -> None:
    """Raises InvalidInput where whoever serves a name could change what is built."""
    if recipe.sha256 is not None and not _SHA256.fullmatch(recipe.sha256):
        raise InvalidInput("A SHA-256 is 64 digits from 0 to 9 and a to f.")
    if recipe.unpinned:
        return
    if recipe.base and not _PINNED.fullmatch(recipe.base):
        hint = f"Name it by its digest: {recipe.base}@sha256:…; or --unpinned, for one that you have made yourself."
        raise InvalidInput(f"The base {recipe.base} may be another one tomorrow.", hint=hint)
    version = blender_of(recipe)
    if recipe.sha256 is None and (recipe.url or version not in known_versions()):
        what = recipe.url or f"the module of Blender {version}"
        hint = "--sha256 DIGEST, as its publisher says it; or --unpinned, to trust whoever serves it."
        raise InvalidInput(f"Nobody has said which digest {what} has.", hint=hint)


def reference_of(recipe: Recipe) -> str:
    """What the image of a recipe is called. Raises InvalidInput."""
    return recipe.reference or f"{REPOSITORY}:{blender_of(recipe)}{'-cycles' if recipe.cycles_only else ''}"


class Builder:
    """Builds on the engine at an address."""

    def __init__(self, address: str, environment: Mapping[str, str] = os.environ) -> None:
        self._environment = {**environment, "DOCKER_HOST": address, "DOCKER_BUILDKIT": "1"}

    def build(self, recipe: Recipe, on_step: OnStep) -> None:
        """Make the image. Raises InvalidInput, BuilderMissing, BuildFailed with the last lines that were printed."""
        reference = reference_of(recipe)
        require_pinned(recipe)
        with _secrets(recipe) as secrets:
            words = [self._program(), "build", "--progress", "plain", "--tag", reference, *_options(recipe), *secrets]
            arguments = _arguments(recipe)
            words += [word for name in arguments for word in ("--build-arg", name)]  # the values: in the environment
            with subprocess.Popen(
                [*words, str(context_dir())],
                env=self._environment | arguments,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            ) as building:
                assert building.stdout is not None
                last = _follow(building.stdout, on_step)
        if building.returncode != 0:
            raise BuildFailed(f"{reference} could not be built. It ended with:\n{last}", hint=_hint(last))

    def _program(self) -> str:
        """The first `docker` on PATH that has BuildKit: some need a plug-in for it."""
        for folder in self._environment.get("PATH", os.defpath).split(os.pathsep):
            program = shutil.which("docker", path=folder)
            if program and "--secret" in self._help(program):
                return program
        raise BuilderMissing()

    def _help(self, program: str) -> str:
        words = [program, "build", "--help"]
        asked = subprocess.run(words, env=self._environment, capture_output=True, text=True, check=False, timeout=60)
        return asked.stdout if asked.returncode == 0 else ""


def _options(recipe: Recipe) -> Iterator[str]:
    yield from ("--target", "program" if recipe.url else "module")
    if recipe.network:
        yield from ("--network", recipe.network)


def _arguments(recipe: Recipe) -> dict[str, str]:
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
def _secrets(recipe: Recipe) -> Iterator[list[str]]:
    """Options that give the build what may not be in an image. Raises InvalidInput."""
    words = []
    with TemporaryDirectory(prefix="renderctl-build-") as folder:
        if recipe.authorities:
            if not recipe.authorities.is_file():
                raise InvalidInput(f"There is no file {recipe.authorities} with certificates.")
            words += ["--secret", f"id=ca,src={recipe.authorities.absolute()}"]
        if recipe.index:
            path = Path(folder) / "index"
            path.touch(0o600)
            path.write_text(recipe.index)
            words += ["--secret", f"id=index,src={path}"]
        yield words


def _follow(lines: Iterator[str], on_step: OnStep) -> str:
    """Tell of each step; the last lines that say something."""
    steps: dict[str, bool] = {}
    last: deque[str] = deque(maxlen=_LAST_LINES)
    for line in lines:
        found = _LINE.match(line)
        if found is None:
            last.extend([line.rstrip()] if _telling(line) else [])
        elif found["said"] is not None:
            last.append(found["said"].rstrip())
        elif found["end"] or not found["begin"].startswith("internal"):
            steps[found["step"]] = bool(found["end"])
            on_step(sum(steps.values()), len(steps), found["begin"] or "")
    return "\n".join(last)


def _telling(line: str) -> bool:
    return bool(line.strip("- \n")) and re.match(r"#\d+ (sha256:|transferring|resolve|naming|writing)", line) is None


#: What the last lines have in them when a build can not reach what it needs, and what to do about it.
_HINTS = {
    "certificate": "A proxy that looks into TLS? --ca FILE names certificates to trust beside the usual ones.",
    "network bridge not found": "The engine has no network of its own: --network host builds in its machine's.",
    "resolv": "--apt-mirror URL, --index URL: servers of your own; --network host: the network of its machine.",
    "no matching distribution": "There is no such release of Blender's module; or --index URL names another index.",
    "no space left": "The engine's disk is full: `docker system df` says of what.",
}


def _hint(last: str) -> str | None:
    return next((hint for words, hint in _HINTS.items() if words in last.lower()), None)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version.split("."))


def _spell(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
