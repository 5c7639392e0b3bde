"""A laptop that holds a token, a server, a node: real processes, a real Blender, and the scene of the first page."""

import json
from pathlib import Path

import pytest

from renderctl.core.actors import Role
from renderctl.decoder.pixels import verify
from tests.farms import close, make_farm
from tests.nodes import Site, until
from tests.server.conftest import Served

pytestmark = pytest.mark.blender


def test_a_scene_goes_from_a_laptop_through_the_server_to_a_worker_and_back(
    site: Site, scene: Path, tmp_path: Path
) -> None:
    farm = make_farm(site.data, settings=site.settings)
    shown = Served(farm, None).person("ada", Role.ARTIST, "default")  # type: ignore[arg-type]
    close(farm)
    site.services = {**site.services, "RENDERCTL_SERVE__DIRECT": "true"}  # on services, files go straight to the store
    server = site.start("server", "serve", "--port", "0")
    until(lambda: "Serving at" in server.log.read_text(), 60, what="a server")
    url = server.log.read_text().partition("Serving at ")[2].split()[0].rstrip(".")
    worker = site.start_worker("w1")
    laptop = Site(tmp_path / "laptop", tmp_path / "laptop-logs")
    laptop.logs.mkdir()
    token = shown["Authorization"].removeprefix("Bearer ")
    laptop.services = {"RENDERCTL_SERVER__URL": url, "RENDERCTL_SERVER__TOKEN": token}
    done = laptop.run("submit", str(scene), "-f", "1-3", "--download", str(tmp_path / "out"), "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert (document["state"], document["owner"], document["files"]) == ("succeeded", "ada", 3)
    for frame in (1, 2, 3):
        verify(tmp_path / "out" / "quick" / f"{frame:04d}.png", width=64, height=64)
    again = laptop.run("upload", str(scene))
    assert "nothing has changed" in again.stdout, again.stderr
    assert laptop.run("logs", document["id"]).stdout.startswith("$ ")
    assert (site.data / "incoming").exists() == (site.settings.store.kind == "local")
    assert (worker.end(), server.end()) == (0, 0)
