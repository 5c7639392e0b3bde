import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from renderctl.cli import run
from renderctl.core.settings import Settings
from renderctl.farm import Farm
from tests.farms import close, make_farm
from tests.server.live import through_a_server


@dataclass(frozen=True)
class Said:
    """What a command printed, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        return json.loads(self.out)


Ctl = Callable[..., Said]


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """What a machine is told that works through a server of the farm: nothing, unless it is asked for."""
    if getattr(request, "param", None) is None:
        yield {}
        return
    with through_a_server(request.getfixturevalue("given")) as told:
        yield told


@pytest.fixture
def ctl(
    tmp_path: Path,
    data_dir: Path,
    server: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Ctl:
    """Run `renderctl` in this process, in an empty folder with a farm of its own."""
    for name in os.environ:
        if name.startswith("RENDERCTL_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("RENDERCTL_DATA_DIR", str(data_dir))
    for name, value in server.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)

    def call(*words: object) -> Said:
        capsys.readouterr()
        code = run([str(word) for word in words])
        said = capsys.readouterr()
        assert "Traceback" not in said.err
        return Said(code, said.out, said.err)

    return call


@pytest.fixture
def process(tmp_path: Path, data_dir: Path, server: dict[str, str]) -> Ctl:
    """Run `renderctl` as a process of its own."""

    def call(*words: object) -> Said:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("RENDERCTL_")}
        environment |= {"RENDERCTL_DATA_DIR": str(data_dir), "HOME": str(tmp_path), **server}
        command = [sys.executable, "-m", "renderctl", *map(str, words)]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        return Said(done.returncode, done.stdout, done.stderr)

    return call


@pytest.fixture
def given(data_dir: Path) -> Iterator[Farm]:
    """The farm that `ctl` uses, for putting things into it."""
    farm = make_farm(data_dir, settings=Settings(data_dir))
    yield farm
    close(farm)
