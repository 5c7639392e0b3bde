"""Scenes that come from a browser, with a real Blender: looked at on the server, submitted, rendered."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from renderctl.blender.find import find_blenders
from renderctl.core.actors import Role
from renderctl.core.errors import BlenderMissing
from renderctl.core.settings import Settings, WorkerSettings
from renderctl.executors.process import ProcessExecutor
from renderctl.farm import Farm
from tests.farms import close, make_farm, work_off
from tests.lacking import lacking
from tests.server.conftest import Served
from tests.server.test_inspecting import inspect
from tests.server.test_uploads import API, file, send, wanted

QUICK = Path(__file__).parents[1] / "quick_scene.py"
HOSTILE, FOLDER = (Path(__file__).with_name(name) for name in ("hostile_scene.py", "folder_scene.py"))
pytestmark = [pytest.mark.blender, pytest.mark.slow]


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    try:
        find_blenders((), cache_dir=tmp_path)
    except BlenderMissing:
        lacking("There is no Blender: pip install 'renderctl[blender]'")
    settings = Settings(tmp_path / "data", worker=WorkerSettings(heartbeat=0.5, heartbeat_limit=10.0))
    farm = make_farm(tmp_path / "data", settings=settings, executor=ProcessExecutor(tmp_path / "drivers"))
    yield farm
    close(farm)


def made(script: Path, *arguments: str) -> bytes:
    """The scene that a script makes at the first of the arguments."""
    subprocess.run([sys.executable, str(script), *arguments], check=True, capture_output=True)
    return Path(arguments[0]).read_bytes()


def sent(served: Served, who: dict[str, str], path: str, content: bytes) -> dict[str, Any]:
    """As the page does it."""
    described = file(path, content)
    if wanted(served, who, described):
        assert send(served, who, content).json()["complete"]
    return described


def test_a_scene_from_a_browser_is_looked_at_submitted_and_rendered(served: Served, tmp_path: Path) -> None:
    ada = served.person("ada", Role.ARTIST, "default")
    scene = sent(served, ada, "shot.blend", made(QUICK, str(tmp_path / "shot.blend")))
    told = inspect(served, ada, scene).json()
    assert (told["missing"], told["inputs"]) == ([], [scene])
    assert told["facts"]["scenes"][0]["frame_end"] == 100
    body = {"name": "shot", "main": "shot.blend", "facts": told["facts"], "inputs": told["inputs"]}
    model = served.client.post(f"{API}/models", json=body, headers=ada).json()["model"]
    job = served.client.post(f"{API}/jobs", json={"model": model["id"], "frames": "7"}, headers=ada).json()["job"]
    work_off(served.farm, idle_exit_s=1.0)
    status = served.client.get(f"{API}/jobs/{job['id']}?cached=false", headers=ada).json()
    assert (status["state"], status["outputs"]) == ("succeeded", 1), status


def test_of_the_server_nothing_comes_to_be_in_a_model(served: Served, tmp_path: Path) -> None:
    ada, secret = served.person("ada", Role.ARTIST, "default"), tmp_path / "secret.blend"
    content = made(HOSTILE, str(tmp_path / "artist/proj/shot.blend"), str(secret))
    told = inspect(served, ada, sent(served, ada, "proj/shot.blend", content)).json()
    missing = {each["path"]: each["kind"] for each in told["missing"]}
    assert missing == {str(secret): "library", "/etc/passwd": "image", "//../../../../../etc/hosts": "cache"}
    assert [each["path"] for each in told["inputs"]] == ["proj/shot.blend"]
    (scene,) = told["facts"]["scenes"]
    assert (scene["cameras"], scene["faces"], told["facts"]["faces"]) == (["Camera"], 6, 6)
    assert "/srv/secret" not in json.dumps(told)
    passwords = hashlib.sha256(Path("/etc/passwd").read_bytes()).hexdigest()
    assert served.farm.store.missing({passwords}) == {passwords}


def test_libraries_and_textures_of_a_folder_are_found_where_they_were(served: Served, tmp_path: Path) -> None:
    ada, root = served.person("ada", Role.ARTIST, "default"), tmp_path / "artist"
    made(FOLDER, str(root / "proj/shots/shot.blend"))
    paths = [each.relative_to(root).as_posix() for each in sorted(root.rglob("*")) if each.is_file()]
    files = [sent(served, ada, path, (root / path).read_bytes()) for path in paths]
    told = inspect(served, ada, *files, main="proj/shots/shot.blend").json()
    assert told["missing"] == []
    assert {each["path"] for each in told["inputs"]} == {
        "proj/shots/shot.blend",
        "proj/libs/set.blend",
        "proj/libs/tex/set.png",
        "proj/tex/wood.png",
    }
    without = [each for each in files if not each["path"].startswith("proj/libs/")]
    told = inspect(served, ada, *without, main="proj/shots/shot.blend").json()
    assert [(each["kind"], each["path"]) for each in told["missing"]] == [("library", "//../libs/set.blend")]
