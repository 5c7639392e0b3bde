"""`python tools/lock.py`: pin every package that is installed, with the digests of its files, into locks/.

One file for each list of requirements in pyproject.toml, and none with what another one pins already: base.txt is what
renderctl needs, blender.txt, dev.txt, docs.txt and bench.txt are its extras, build.txt is what builds it. They hold for
Linux and macOS and for every Python that pyproject.toml allows. No index is named in them. A pin that still fits stays;
`--upgrade` renews them all, `--upgrade-package NAME` one.
"""

import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCKS = ROOT / "locks"
_HEADER = "# Made by `make lock` from pyproject.toml: do not edit.\n"
_OPTIONS = ("--universal", "--generate-hashes", "--no-header", "--no-annotate", "--no-emit-index-url")


def requirements() -> Mapping[str, Sequence[str]]:
    """What each lock file has to satisfy, by its name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"]
    editable = ["editables"]  # what hatchling asks for when renderctl is installed in place
    return {
        "base": project["project"]["dependencies"],
        "blender": extras["blender"],
        "dev": extras["dev"],
        "docs": extras["docs"],
        "bench": extras["bench"],
        "build": project["build-system"]["requires"] + editable,
    }


def main(options: Sequence[str]) -> None:
    lists, python = requirements(), "3.11"
    with tempfile.TemporaryDirectory() as folder:
        together = Path(folder) / "all.txt"  # one version of everything, whatever is installed beside it
        together.write_text("".join(path.read_text(encoding="utf-8") for path in sorted(LOCKS.glob("*.txt"))))
        everything = [requirement for needed in lists.values() for requirement in needed]
        _compile(everything, together, python, options)
        for name, needed in lists.items():
            lock = Path(folder) / f"{name}.txt"
            _compile(needed, lock, python, ("--constraints", str(together)))
            (LOCKS / lock.name).write_text(_HEADER + lock.read_text(encoding="utf-8"), encoding="utf-8")


def _compile(needed: Sequence[str], lock: Path, python: str, options: Sequence[str]) -> None:
    words = [sys.executable, "-m", "uv", "pip", "compile", "-", *_OPTIONS, "--python-version", python]
    words += ["--output-file", str(lock), *options]
    subprocess.run(words, input="\n".join(needed), text=True, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main(sys.argv[1:])
