"""Who sends a scene that names files elsewhere is asked on a terminal; a program has to say it beforehand."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Ctl

pytestmark = [pytest.mark.blender, pytest.mark.slow]
EITHER_WAY = True
MAKER = Path(__file__).parents[2] / "server" / "folder_scene.py"


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scene in scenes/, with a library in libs/ and a texture in tex/ beside that."""
    path = tmp_path_factory.mktemp("project") / "scenes" / "shot.blend"
    subprocess.run([sys.executable, str(MAKER), str(path)], check=True, capture_output=True)
    return path


@pytest.mark.parametrize("words", [("upload",), ("submit", "-f", "1")])
def test_a_script_is_told_which_files_and_how_to_go_on(ctl: Ctl, scene: Path, words: tuple[str, ...]) -> None:
    said = ctl(*words, scene, "--json")
    assert said.code == 9
    error = said.document["error"]
    assert error["code"] == "outside_files"
    root = scene.parents[1]
    assert [item["path"] for item in error["files"]] == [
        str(root / name) for name in ("libs/set.blend", "libs/tex/set.png", "tex/wood.png")
    ]
    assert "--include-outside" in error["hint"]
    assert f"roots: [{root}]" in error["hint"]
    assert ctl("models", "--json").document == []
    assert ctl(*words, scene, "--include-outside", "--json").code == 0


@pytest.mark.directly
def test_with_the_project_among_the_roots_nothing_is_asked(
    ctl: Ctl, scene: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RENDERCTL_UPLOAD__ROOTS", str(scene.parents[1]))
    assert ctl("upload", scene, "--json").document["model"]["files"] == 4


@pytest.mark.directly
def test_what_is_rendered_here_goes_nowhere_and_nothing_is_asked(ctl: Ctl, scene: Path) -> None:
    said = ctl("render", scene, "--samples", "1", "--resolution", "16x16", "--json")
    assert said.document["state"] == "succeeded", said


@pytest.mark.parametrize(("answer", "code"), [("n", 9), ("y", 0), ("", 9)])
def test_on_a_terminal_they_are_listed_and_asked_for(tmp_path: Path, scene: Path, answer: str, code: int) -> None:
    ours, theirs = pty.openpty()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("RENDERCTL_")}
    environment |= {"RENDERCTL_DATA_DIR": str(tmp_path / "data"), "HOME": str(tmp_path), "TERM": "xterm"}
    command = [sys.executable, "-m", "renderctl", "upload", str(scene)]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment, cwd=tmp_path) as upload:
        os.close(theirs)
        text = read_until(ours, b"[y/N]")
        os.write(ours, answer.encode() + b"\n")
        rest = read_until(ours, None)
        assert upload.wait(60) == code, (text + rest).decode()
    os.close(ours)
    assert b"tex/wood.png" in text
    assert b"Take them along?" in text
    assert (b"shot@1" in rest) == (code == 0)


def read_until(terminal: int, end: bytes | None) -> bytes:
    """What is printed up to `end`; None: up to when the program has gone."""
    text = b""
    while end is None or end not in text:
        try:
            piece = os.read(terminal, 1 << 12)
        except OSError:  # nobody has the other side open any more
            return text
        if not piece:
            return text
        text += piece
    return text
