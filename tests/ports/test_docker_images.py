"""Render images on a real engine."""

from collections.abc import Iterator

import docker
import pytest

from renderctl.errors import ImageMissing, InvalidInput
from renderctl.executors.docker.client import Engine
from renderctl.executors.docker.images import DockerImages
from renderctl.executors.images import Recipe, RenderImage
from tests.services.baseimage import BASE

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


def test_an_image_that_was_built_is_listed_and_found_by_its_version(images: DockerImages, render_image: RenderImage):
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
):
    words = [str(render_image.program), "-c", RENDERS]
    assert render_image.module
    said = client.containers.run(render_image.digest, words, remove=True, **CAGE).decode()
    assert f"CYCLES {render_image.blender}" in said
    assert f"BLENDER_WORKBENCH {render_image.blender}" in said


def test_nothing_in_an_image_says_how_or_where_it_was_built(client: docker.DockerClient, render_image: RenderImage):
    image = client.images.get(render_image.digest)
    history = " ".join(layer["CreatedBy"] for layer in image.history())
    assert "pip" not in history
    assert "apt" not in history
    assert image.attrs["Config"]["User"] == "10000:10000"
    found = "find / -xdev \\( -name 'pip' -o -name '*.pem' -o -perm /6000 -type f \\) ! -path '*/proc/*' 2>/dev/null"
    words = ["sh", "-c", f"{found} | grep -v /site-packages/bpy/ || true"]
    assert client.containers.run(render_image.digest, words, remove=True, **CAGE).decode() == ""


def test_only_render_images_are_removed(images: DockerImages, client: docker.DockerClient, render_image: RenderImage):
    client.images.get(render_image.digest).tag("renderctl-blender", "spare")
    assert images.remove("renderctl-blender:spare").digest == render_image.digest
    assert render_image in images.list()
    with pytest.raises(ImageMissing, match="no render image"):
        images.remove(BASE)
    with pytest.raises(ImageMissing):
        images.remove("renderctl-blender:spare")
    assert client.images.get(BASE)


@pytest.mark.parametrize("version", ["", "5", "4.1", "5.1", "6.0.0", "4.3", "4.5.x", "--help"])
def test_a_blender_without_a_recipe_is_refused_with_those_that_there_are(images: DockerImages, version: str):
    with pytest.raises(InvalidInput) as caught:
        images.build(Recipe(version), lambda *_: None)
    assert "4.5.15" in str(caught.value.hint)
