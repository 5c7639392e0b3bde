"""Render images on a real engine."""

import io
import json
import ssl
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from renderctl.core.errors import BuildFailed, EngineUnavailable, ImageMissing, InvalidInput, NotFound, PullFailed
from renderctl.executors.docker.client import Engine
from renderctl.executors.docker.images import DockerImages
from renderctl.executors.images import BuildRecipe, RenderImage
from tests.services import Registry, running
from tests.services.baseimage import BASE
from tests.services.fixtures import require

#: The base that our own engine has is no published one.
LOCAL: dict[str, Any] = {"base": BASE, "unpinned": True}

#: What a container may do in which a scene is rendered: nothing but render.
CAGE = {
    "network_mode": "none",
    "read_only": True,
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges"],
    "user": "4321:4321",
    "tmpfs": {"/tmp": ""},
    "environment": {"HOME": "/tmp", "TMPDIR": "/tmp"},
}
#: Workbench draws with what EEVEE draws with, and has few shaders to compile.
RENDERS = """
import bpy
scene = bpy.context.scene
scene.render.resolution_x = scene.render.resolution_y = 16
scene.cycles.samples, scene.cycles.use_denoising = 1, False
for scene.render.engine in ("CYCLES", "BLENDER_WORKBENCH"):
    bpy.ops.render.render()
    print(scene.render.engine, bpy.app.version_string, flush=True)
__import__("os")._exit(0)
"""


@pytest.fixture
def images(docker_host: str) -> Iterator[DockerImages]:
    images = DockerImages(Engine(docker_host))
    yield images
    images.close()


@pytest.fixture
def client(docker_host: str) -> Iterator[docker.DockerClient]:
    client = docker.DockerClient(docker_host)
    yield client
    client.close()


def test_an_image_that_was_built_is_listed_and_found_by_its_version(
    images: DockerImages, render_image: RenderImage
) -> None:
    assert render_image in images.list()
    assert images.resolve(render_image.blender).digest == render_image.digest
    assert images.resolve(render_image.blender.rpartition(".")[0]).blender == render_image.blender
    assert render_image.digest.startswith("sha256:")
    assert 1e9 < render_image.size < 1.3e9
    with pytest.raises(ImageMissing) as caught:
        images.resolve("3.6")
    assert "images build --blender 3.6" in str(caught.value.hint)


def test_an_image_renders_without_a_display_a_network_rights_or_a_disk_to_write_to(
    client: docker.DockerClient, render_image: RenderImage
) -> None:
    words = [str(render_image.program), "-c", RENDERS]
    assert render_image.module
    said = client.containers.run(render_image.digest, words, remove=True, **CAGE).decode()
    assert f"CYCLES {render_image.blender}" in said
    assert f"BLENDER_WORKBENCH {render_image.blender}" in said


def test_nothing_in_an_image_says_how_or_where_it_was_built(
    client: docker.DockerClient, render_image: RenderImage
) -> None:
    image = client.images.get(render_image.digest)
    history = " ".join(layer["CreatedBy"] for layer in image.history())
    assert "pip" not in history
    assert "apt" not in history
    assert image.attrs["Config"]["User"] == "10000:10000"
    found = "find / -xdev \\( -name 'pip' -o -name '*.pem' -o -perm /6000 -type f \\) ! -path '*/proc/*' 2>/dev/null"
    words = ["sh", "-c", f"{found} | grep -v /site-packages/bpy/ || true"]
    assert client.containers.run(render_image.digest, words, remove=True, **CAGE).decode() == ""


def test_an_image_brings_its_bill_of_materials_along(client: docker.DockerClient, render_image: RenderImage) -> None:
    from cyclonedx.schema import SchemaVersion  # loads grammars for some seconds: nobody else should pay for it
    from cyclonedx.validation.json import JsonStrictValidator

    path = client.images.get(render_image.digest).labels["renderctl.sbom"]
    text = client.containers.run(render_image.digest, ["cat", path], remove=True, **CAGE).decode()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    versions = {component["name"]: component["version"] for component in json.loads(text)["components"]}
    assert (versions["blender"], versions["bpy"]) == (render_image.blender, render_image.blender)
    installed = client.containers.run(render_image.digest, ["dpkg-query", "-W"], remove=True, **CAGE).decode()
    for package, version in (line.split("\t") for line in installed.splitlines()):
        assert versions[package.partition(":")[0]] == version


def test_only_render_images_are_removed(
    images: DockerImages, client: docker.DockerClient, render_image: RenderImage
) -> None:
    client.images.get(render_image.digest).tag("renderctl-blender", "spare")
    assert images.remove("renderctl-blender:spare").digest == render_image.digest
    assert render_image in images.list()
    with pytest.raises(NotFound, match="not a render image"):
        images.remove(BASE)
    with pytest.raises(NotFound):
        images.remove("renderctl-blender:spare")
    assert client.images.get(BASE)


@pytest.mark.parametrize("version", ["", "5", "4.1", "5.1", "6.0.0", "4.3", "4.5.x", "--help"])
def test_a_blender_without_a_recipe_is_refused_with_those_that_there_are(images: DockerImages, version: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        images.build(BuildRecipe(version), lambda *_: None)
    assert "4.5.15" in str(caught.value.hint)


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    require(Registry)
    with running(Registry) as registry:
        yield registry


def given_recipe(index: str) -> BuildRecipe:
    """A Blender that nobody has, from there."""
    authorities = ssl.get_default_verify_paths().cafile
    return BuildRecipe(
        "4.5.99", network="host", authorities=Path(authorities) if authorities else None, index=index, **LOCAL
    )


def given_small_image(client: docker.DockerClient, repository: str) -> str:
    """An image that says that it is a render image; its digest."""
    labels = ["LABEL renderctl.blender.version=4.5.0", "LABEL renderctl.blender.cycles-only=true"]
    files = io.BytesIO()
    with tarfile.open(fileobj=files, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("empty"))
    client.api.import_image_from_data(files.getvalue(), repository, "4.5.0", labels)
    return str(client.images.get(f"{repository}:4.5.0").id)


def test_an_image_comes_from_a_registry_by_its_tag_and_by_its_digest(
    images: DockerImages, client: docker.DockerClient, registry: Registry
) -> None:
    repository = f"{registry.url}/blender"
    digest = given_small_image(client, repository)
    client.images.push(repository, "4.5.0")
    client.images.remove(digest, force=True)
    steps: list[tuple[int, int, str]] = []
    pulled = images.pull(f"{repository}:4.5.0", lambda *step: steps.append(step))
    assert (pulled.digest, pulled.blender, pulled.cycles_only) == (digest, "4.5.0", True)
    assert steps[-1][:2] == (1, 1)  # it has one layer
    (by_digest,) = client.images.get(digest).attrs["RepoDigests"]
    client.images.remove(digest, force=True)
    assert images.pull(by_digest, lambda *_: None).digest == digest
    assert images.remove(by_digest).digest == digest
    with pytest.raises(NotFound):
        images.remove(digest)


def test_what_can_be_wrong_with_a_pull_is_told_apart(images: DockerImages, registry: Registry) -> None:
    with pytest.raises(NotFound, match=r"No registry provides .*/blender:9"):
        images.pull(f"{registry.url}/blender:9", lambda *_: None)
    with pytest.raises(PullFailed, match=r"127.0.0.1:1/blender:9 cannot be pulled: .*refused\.$"):
        images.pull("127.0.0.1:1/blender:9", lambda *_: None)
    with running(Registry) as locked:
        pass  # it is gone
    with pytest.raises(PullFailed):
        images.pull(f"{locked.url}/blender:9", lambda *_: None)


def test_a_build_that_fails_ends_with_the_last_lines_and_what_to_do(images: DockerImages) -> None:
    recipe = BuildRecipe(
        "4.5.99", network="host", apt_mirror="http://127.0.0.1:1/debian", reference="renderctl-test:broken", **LOCAL
    )
    with pytest.raises(BuildFailed) as caught:
        images.build(recipe, lambda *_: None)
    assert "127.0.0.1:1" in caught.value.message
    assert "sha256" not in caught.value.message
    with pytest.raises(NotFound):
        images.remove("renderctl-test:broken")


def test_an_index_with_a_password_is_told_to_nobody(images: DockerImages, client: docker.DockerClient) -> None:
    index = "http://ada:pa55word@127.0.0.1:1/simple"
    steps: list[str] = []
    with pytest.raises(BuildFailed) as caught:
        images.build(given_recipe(index), lambda *step: steps.append(step[2]))
    assert "pa55word" not in f"{caught.value.message} {steps} {given_recipe(index)!r}"


def test_an_engine_that_is_away_is_named(tmp_path: Path) -> None:
    images = DockerImages(Engine(f"unix://{tmp_path / 'socket'}"))
    for ask in (images.list, lambda: images.build(BuildRecipe(), lambda *_: None), lambda: images.resolve("4.5")):
        with pytest.raises(EngineUnavailable, match="is out of reach"):
            ask()


def test_an_image_brings_along_what_eevee_would_compile_for_its_first_frame(
    client: docker.DockerClient, render_image: RenderImage
) -> None:
    words = ["sh", "-c", "find /opt/blender/shaders -type f -readable | wc -l"]
    assert int(client.containers.run(render_image.digest, words, remove=True, **CAGE)) > 50
