"""Every `renderctl` command in the README and the docs is run, as it stands there."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from renderctl.core.settings import Settings
from tests.farms import close, make_farm
from tests.nodes import until
from tests.server.live import through_a_server

pytestmark = pytest.mark.blender
EITHER_WAY = True
ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "docs/quickstart.md"]
PAGES += [ROOT / f"docs/howto/{name}.md" for name in ("ci", "farm", "storage", "workers")]
#: What sets up: the Makefile's own runs (`make demo`, and `make test`, which runs this) are the test of these.
_SET_UP = ("make ", "pip install ")
#: What is run on a node, or is told of one; everything else goes through a server where there is one.
_NODES = ("worker", "gc", "sweep", "database", "serve")


def test_no_page_with_commands_is_forgotten() -> None:
    every = [ROOT / "README.md", ROOT / "docs/quickstart.md", *(ROOT / "docs/howto").glob("*.md")]
    assert {page for page in every if commands(page)} == set(PAGES)


def commands(page: Path) -> list[str]:
    """The lines of the shell blocks of a page, without their comments."""
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.S)
    lines = [re.sub(r"\s+#.*", "", line).strip() for line in "\n".join(blocks).splitlines()]
    return [line for line in lines if line and not line.startswith(_SET_UP)]


class Desk:
    """A folder with the scene that the docs speak of, a farm of its own, and a worker at work."""

    def __init__(self, folder: Path, told: Mapping[str, str]) -> None:
        self.folder = folder
        self.told = told  #: of a server to go through
        self.started: list[subprocess.Popen[bytes]] = []
        binaries = Path(sys.executable).parent
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith("RENDERCTL_")}
        self.environment |= {"RENDERCTL_DATA_DIR": str(folder / "data"), "HOME": str(folder)}
        self.environment["PATH"] = f"{binaries}{os.pathsep}{os.environ['PATH']}"

    def run(self, line: str) -> str:
        environment = self.environment | ({} if line.split()[1] in _NODES else dict(self.told))
        done = subprocess.run(
            line, shell=True, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=200
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout

    def start(self, line: str) -> "subprocess.Popen[bytes]":
        environment = self.environment
        started = subprocess.Popen(line.split(), cwd=self.folder, env=environment, stderr=subprocess.DEVNULL)
        self.started.append(started)
        return started

    def close(self) -> None:
        for each in self.started:
            each.kill()
            each.wait()

    def workers(self) -> list[str]:
        return [each["id"] for each in json.loads(self.run("renderctl workers --json"))]


@pytest.fixture
def desk(tmp_path: Path, server: bool) -> Iterator[Desk]:
    farm = make_farm(tmp_path / "data", settings=Settings(tmp_path / "data"))
    through: AbstractContextManager[dict[str, str]] = through_a_server(farm) if server else nullcontext({})
    with through as told:
        yield from _desk(tmp_path, told)
    close(farm)


def _desk(tmp_path: Path, told: Mapping[str, str]) -> Iterator[Desk]:
    made = Desk(tmp_path, told)
    maker = Path(__file__).with_name("documented_scene.py")
    subprocess.run([sys.executable, maker, tmp_path], check=True, capture_output=True)
    yield made
    made.close()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_a_page_works_as_it_stands_there(page: Path, desk: Desk) -> None:
    lines = commands(page)
    assert lines
    assert all(line.startswith("renderctl ") for line in lines)
    paused = desk.run("renderctl submit shot.blend -f 1-2 --paused").strip()
    helper = desk.start("renderctl worker --name documented")
    until(lambda: desk.workers() == ["documented"], 30, what="a worker")
    job = paused
    for line in lines:
        if line.split()[1] == "worker":
            _leaves_when_told(desk, line)
            continue
        said = desk.run(line.replace("JOB", job).replace(" WORKER", " documented"))
        job = said.strip() if line.startswith("renderctl submit") and "--json" not in line else job
    helper.terminate()
    assert helper.wait(60) == 0


def _leaves_when_told(desk: Desk, line: str) -> None:
    before = len(desk.workers())
    started = desk.start(line)
    until(lambda: len(desk.workers()) > before, 30, what="one more worker")
    started.terminate()
    assert started.wait(60) == 0
