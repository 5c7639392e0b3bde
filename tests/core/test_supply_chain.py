"""What images and wheels are made of: bases by digest, and a bill of materials (CycloneDX) in each."""

import json
import re
import runpy
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from renderctl.core.errors import InvalidInput
from renderctl.executors.docker.image_builder import known_versions, require_pinned
from renderctl.executors.images import BuildRecipe
from tests.core.test_locks import pins_in

ROOT = Path(__file__).parents[2]
DIGEST = re.compile(r".+@sha256:[0-9a-f]{64}")
DEBIAN = "debian@sha256:" + 64 * "a"
DOCKERFILES = (ROOT / "compose/worker/Dockerfile", ROOT / "compose/blender/Dockerfile")


def require_valid(document: str) -> None:
    from cyclonedx.schema import SchemaVersion  # loads grammars for some seconds: only tests that are slow pay for it
    from cyclonedx.validation.json import JsonStrictValidator

    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(document) is None


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_an_image_begins_with_a_base_by_its_digest(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    (base,) = re.findall(r"^ARG BASE=(\S+)$", text, re.M)
    assert DIGEST.fullmatch(base)
    stages = {"scratch", "${BASE}", *re.findall(r"^FROM \S+ AS (\S+)", text, re.M)}
    assert set(re.findall(r"^FROM (\S+)", text, re.M)) <= stages


def test_all_begin_with_the_same_base() -> None:
    assert len({re.search(r"^ARG BASE=.*$", path.read_text(), re.M)[0] for path in DOCKERFILES}) == 1  # type: ignore[index]


@pytest.mark.parametrize("path", ["compose/worker/Dockerfile", "compose/blender/image.sh"])
def test_nobody_becomes_somebody_else_in_an_image(path: str) -> None:
    text = (ROOT / path).read_text(encoding="utf-8")
    assert re.search(r"find \S+ (-xdev )?-type f -perm /6000 -exec chmod ug-s \{\} \+", text)


@pytest.mark.parametrize(
    "recipe",
    [
        BuildRecipe(base="debian:bookworm-slim"),
        BuildRecipe(base="debian@sha256:abc"),
        BuildRecipe("4.5.1"),
        BuildRecipe("4.5.1", base=DEBIAN),
        BuildRecipe(url="https://blender.example/blender.tar.xz"),
        BuildRecipe(sha256="abc"),
        BuildRecipe("4.5.1", sha256=64 * "A", unpinned=True),
    ],
)
def test_a_build_of_what_may_be_another_tomorrow_is_refused(recipe: BuildRecipe) -> None:
    with pytest.raises(InvalidInput) as caught:
        require_pinned(recipe)
    assert caught.value.hint is None or "--unpinned" in caught.value.hint


@pytest.mark.parametrize(
    "recipe",
    [
        BuildRecipe(),
        *(BuildRecipe(version) for version in known_versions()),
        BuildRecipe(base=DEBIAN),
        BuildRecipe("4.5.1", sha256=64 * "a"),
        BuildRecipe(url="https://blender.example/blender.tar.xz", sha256=64 * "a"),
        BuildRecipe("4.5.1", base="debian:bookworm-slim", unpinned=True),
    ],
)
def test_a_build_of_what_is_known_by_digest_or_taken_as_it_is_goes_on(recipe: BuildRecipe) -> None:
    require_pinned(recipe)


def test_the_bill_of_materials_of_a_wheel_has_every_pin_and_its_digests() -> None:
    text = (ROOT / "locks/renderctl.cdx.json").read_text(encoding="utf-8")
    described = {
        (component["name"], component["version"], digest["content"])
        for component in json.loads(text)["components"]
        for digest in component["externalReferences"][0]["hashes"]
    }
    assert described == {
        (pin.requirement.name.lower(), str(pin.requirement.specifier)[2:], digest.strip().removeprefix("sha256:"))
        for pin in pins_in("base")
        for digest in pin.hashes
    }


@pytest.mark.slow
def test_the_bill_of_materials_of_a_wheel_is_valid() -> None:
    require_valid((ROOT / "locks/renderctl.cdx.json").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_a_wheel_brings_its_bill_of_materials_along(tmp_path: Path) -> None:
    words = ["pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(tmp_path), str(ROOT)]
    built = subprocess.run([sys.executable, "-m", *words], capture_output=True, text=True, timeout=300, check=False)
    assert built.returncode == 0, built.stderr
    (path,) = tmp_path.glob("renderctl-*.whl")
    with zipfile.ZipFile(path) as wheel:
        (name,) = (name for name in wheel.namelist() if ".dist-info/sboms/" in name)
        assert wheel.read(name) == (ROOT / "locks/renderctl.cdx.json").read_bytes()


@pytest.mark.skipif(not Path("/usr/bin/dpkg-query").exists(), reason="This is no Debian.")
@pytest.mark.slow
def test_the_bill_of_materials_of_an_image_names_what_is_installed() -> None:
    bill = runpy.run_path(str(ROOT / "compose/blender/sbom.py"))["bill"]
    document = bill("renderctl-blender", "5.0.1", [path for path in sys.path if path.endswith("site-packages")])
    require_valid(json.dumps(document))
    purls = [component["purl"] for component in document["components"]]
    assert "pkg:generic/blender@5.0.1" in purls
    assert any(re.fullmatch(r"pkg:deb/debian/libc6@.+\?arch=\w+", purl) for purl in purls)
    assert any(purl.startswith("pkg:pypi/pytest@") for purl in purls)
    assert len(set(purls)) == len(purls)
