"""What is installed is pinned in locks/, file by file: nobody gets a package that nobody has looked at."""

import re
import runpy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCKS = ROOT / "locks"
REQUIREMENTS: Mapping[str, list[str]] = runpy.run_path(str(ROOT / "tools" / "lock.py"))["requirements"]()
#: One of each Python that Blender's module exists for.
PYTHONS = [
    {"python_version": version, "python_full_version": f"{version}.4", "sys_platform": "linux", "extra": ""}
    for version in ("3.11", "3.13")
]


@dataclass(frozen=True)
class Pin:
    """A package as a lock file has it."""

    requirement: Requirement
    hashes: tuple[str, ...]


def pins_in(name: str) -> list[Pin]:
    text = (LOCKS / f"{name}.txt").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [Pin(Requirement(line.split(" --hash=")[0]), tuple(line.split(" --hash=")[1:])) for line in lines]


def holds(marker: Marker | None, python: Mapping[str, str]) -> bool:
    return marker is None or marker.evaluate(dict(python))


def test_every_list_of_requirements_has_its_lock() -> None:
    assert {path.stem for path in LOCKS.glob("*.txt")} == set(REQUIREMENTS)


@pytest.mark.parametrize("name", sorted(REQUIREMENTS))
@pytest.mark.parametrize("python", PYTHONS, ids=lambda python: python["python_version"])
def test_a_lock_has_one_fitting_pin_for_each_requirement(name: str, python: Mapping[str, str]) -> None:
    pins = [pin.requirement for pin in pins_in(name) if holds(pin.requirement.marker, python)]
    versions = {canonicalize_name(pin.name): str(pin.specifier).removeprefix("==") for pin in pins}
    assert len(versions) == len(pins)
    for requirement in map(Requirement, REQUIREMENTS[name]):
        if holds(requirement.marker, python):
            assert requirement.specifier.contains(versions[canonicalize_name(requirement.name)]), requirement


@pytest.mark.parametrize("name", sorted(REQUIREMENTS))
def test_a_lock_has_digests_and_versions_and_nothing_else(name: str) -> None:
    for pin in pins_in(name):
        assert re.fullmatch(r"==[\w.!+-]+", str(pin.requirement.specifier)), pin
        assert pin.hashes
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}\s*", digest) for digest in pin.hashes), pin
    text = (LOCKS / f"{name}.txt").read_text(encoding="utf-8")
    assert "://" not in text
    assert not re.search(r"^-", text, re.M)


def test_the_locks_agree_with_each_other() -> None:
    for python in PYTHONS:
        known: dict[str, Pin] = {}
        for pin in (pin for name in REQUIREMENTS for pin in pins_in(name) if holds(pin.requirement.marker, python)):
            earlier = known.setdefault(canonicalize_name(pin.requirement.name), pin)
            assert (earlier.requirement.specifier, earlier.hashes) == (pin.requirement.specifier, pin.hashes)


@pytest.mark.parametrize("path", ["tools/setup.sh", "compose/worker/Dockerfile"])
def test_whatever_installs_python_packages_asks_for_digests(path: str) -> None:
    commands = (ROOT / path).read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    installing = [line for line in commands if re.search(r"\bpip (install|wheel)\b", line)]
    assert installing
    for line in installing:
        assert "--require-hashes" in line or "--no-deps" in line, line


def test_a_render_image_gets_its_python_packages_by_their_digests() -> None:
    folder = ROOT / "compose/blender"
    script = (folder / "wheel.sh").read_text(encoding="utf-8")
    assert re.findall(r"^\$install (\S+) ", script, re.M) == ["$digests", "--require-hashes"]
    for wheel in (folder / "wheels").glob("*.txt"):
        pins = [line for line in wheel.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
        assert all(re.fullmatch(r"\w+==[\d.]+( --hash=sha256:[0-9a-f]{64})+", pin) for pin in pins), wheel
