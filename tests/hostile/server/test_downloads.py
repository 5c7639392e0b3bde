"""What a hostile server says of a job's images makes no client write outside the folder of `-o`."""

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from renderctl.core.errors import BadAnswer, DigestMismatch, RenderctlError
from renderctl.wiring.remote_commands import RemoteCommands
from tests.hostile.server.conftest import TOKEN
from tests.hostile.server.evil import EvilServer, endless, evil_server, send

JOB = "01jx0000aaaaa"
IMAGE = b"an image"


def output(name: str = "0001.png", camera: str | None = None, **more: Any) -> dict[str, Any]:
    digest = hashlib.sha256(IMAGE).hexdigest()
    return {"name": name, "digest": digest, "size": len(IMAGE), "camera": camera, "number": 1, **more}


def tells(
    evil: EvilServer, *outputs: dict[str, Any], job: str = JOB, name: str = "shot", cameras: Any = (None,)
) -> None:
    evil.says("GET /api/v1/jobs/shot", {"id": job, "name": name, "cameras": list(cameras)})

    def page(handler: Any, request: Any) -> None:
        first = "after=0" in request.path
        send(handler, json.dumps({"outputs": outputs if first else [], "next": 1, "total": len(outputs)}).encode())

    evil.answers[f"GET /api/v1/jobs/{job}/outputs"] = page
    for item in outputs:
        evil.sends(f"GET /api/v1/jobs/{job}/outputs/{item['number']}/{item['name']}", IMAGE)


def written(folder: Path) -> set[str]:
    """All files below a folder, but for what the farm itself keeps there."""
    files = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
    return {str(path) for path in files if path.parts[0] != "data"}


def test_the_id_of_a_job_is_no_path(victim: RemoteCommands, evil: EvilServer, tmp_path: Path) -> None:
    (tmp_path / "out" / "shot").mkdir(parents=True)
    (tmp_path / "out" / "shot" / "mine.txt").touch()  # another's: the id would be a part of the folder's name
    tells(evil, output(), job="x/../../../evil")
    with pytest.raises(BadAnswer):
        victim.download("shot", tmp_path / "out")
    assert written(tmp_path) == {"out/shot/mine.txt"}


@pytest.mark.parametrize(
    "name",
    ["../../evil.png", "/etc/evil.png", "a/../../../evil.png", "..", ".renderctl-job", "a/../.renderctl-job", "~/x"],
)
def test_the_name_of_an_output_leads_nowhere_else(
    victim: RemoteCommands, evil: EvilServer, tmp_path: Path, name: str
) -> None:
    tells(evil, output(name))
    evil.answers |= {
        f"GET /api/v1/jobs/{JOB}/outputs/1/{item}": lambda handler, _request: send(handler, IMAGE)
        for item in (name, *[name.replace("~", "%7E"), name.lstrip("/")])
    }
    with suppress(RenderctlError):
        victim.download("shot", tmp_path / "out")
    assert all(entry.startswith("out/shot/") for entry in written(tmp_path))
    assert JOB in (tmp_path / "out/shot/.renderctl-job").read_text()


@pytest.mark.parametrize("camera", ["../../evil", "/evil", "..", "a/../../evil"])
def test_the_name_of_a_camera_leads_nowhere_else(
    victim: RemoteCommands, evil: EvilServer, tmp_path: Path, camera: str
) -> None:
    tells(evil, output(camera=camera), cameras=(camera, "other"))
    victim.download("shot", tmp_path / "out")
    assert len(written(tmp_path)) == 2
    assert all(item.startswith("out/shot/") for item in written(tmp_path))


@pytest.mark.parametrize("name", ["../evil", "/evil", "..", "", "evil\0", "e" * 4000])
def test_the_name_of_a_job_leads_nowhere_else(
    victim: RemoteCommands, evil: EvilServer, tmp_path: Path, name: str
) -> None:
    tells(evil, output(), name=name)
    victim.download("shot", tmp_path / "out")
    (folder,) = (tmp_path / "out").iterdir()
    assert {item.split("/")[0] for item in written(tmp_path)} == {"out"}
    assert len(os.fsencode(folder.name)) < 256


@pytest.mark.parametrize(
    "odd",
    [
        {"digest": "../../../evil"},
        {"digest": "A" * 64},
        {"size": -1},
        {"size": "many"},
        {"name": "\ud800.png"},
        {"name": "n" * 100_000},
        {"name": 7},
        {"camera": "\ud800"},
        {"number": -1},
    ],
)
def test_an_output_that_can_be_none_is_an_answer_that_makes_no_sense(
    victim: RemoteCommands, evil: EvilServer, tmp_path: Path, odd: dict[str, Any]
) -> None:
    tells(evil)
    evil.says(f"GET /api/v1/jobs/{JOB}/outputs", {"outputs": [output() | odd], "next": 1, "total": 1})
    with pytest.raises(BadAnswer):
        victim.download("shot", tmp_path / "out")


def test_an_image_that_does_not_end_is_not_written_beyond_its_size(
    victim: RemoteCommands, evil: EvilServer, tmp_path: Path
) -> None:
    tells(evil, output())
    evil.answers[f"GET /api/v1/jobs/{JOB}/outputs/1/0001.png"] = endless(b"\0" * 65536)
    with pytest.raises(DigestMismatch, match="longer"):
        victim.download("shot", tmp_path / "out")
    assert written(tmp_path) == {"out/shot/.renderctl-job"}


def test_a_list_without_an_end_ends(victim: RemoteCommands, evil: EvilServer, tmp_path: Path) -> None:
    tells(evil)
    evil.says(f"GET /api/v1/jobs/{JOB}/outputs", {"outputs": [output()], "next": 0, "total": 1})
    evil.sends(f"GET /api/v1/jobs/{JOB}/outputs/1/0001.png", IMAGE)
    with pytest.raises(BadAnswer, match="without an end"):
        victim.download("shot", tmp_path / "out")


def test_a_page_of_nothing_that_goes_on_is_the_last_page(victim: RemoteCommands, evil: EvilServer) -> None:
    evil.says("GET /api/v1/jobs", {"jobs": [], "next": "more"})
    assert victim.jobs() == []


def test_the_token_is_not_taken_along_to_where_a_server_sends_one(
    victim: RemoteCommands, evil: EvilServer, tmp_path: Path
) -> None:
    with evil_server() as other:
        other.sends("GET /image", IMAGE)
        tells(evil, output())
        evil.sends(f"GET /api/v1/jobs/{JOB}/outputs/1/0001.png", b"", 307, Location=f"{other.url}/image")
        victim.download("shot", tmp_path / "out")
        assert len(other.requests) == 1
        assert TOKEN not in str(other.requests[0].headers)
        assert "Authorization" not in other.requests[0].headers


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_documents_are_fetched_from_nowhere_else(victim: RemoteCommands, evil: EvilServer, status: int) -> None:
    with evil_server() as other:
        evil.sends("GET /api/v1/whoami", b"", status, Location=f"{other.url}/api/v1/whoami")
        with pytest.raises(RenderctlError):
            victim.whoami()
        assert other.requests == []
