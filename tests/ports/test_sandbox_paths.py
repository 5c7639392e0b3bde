"""What a sandbox may open, and what it refuses whoever asks."""

import sys
from pathlib import Path

import pytest

from renderctl.core.errors import SandboxTooWide
from renderctl.executors.sandbox import Sandbox
from renderctl.executors.sandbox_paths import ForbiddenPaths, paths_in_environment, program_paths


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    home = tmp_path / "home" / "artist"
    home.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    return home


@pytest.fixture
def forbidden(tmp_path: Path, home: Path) -> ForbiddenPaths:
    data = tmp_path / "farm" / "data"
    (data / "scratch" / "w1" / "scene").mkdir(parents=True)
    (data / "store" / "ab").mkdir(parents=True)
    config = tmp_path / "etc" / "renderctl.yaml"
    config.parent.mkdir()
    config.write_text("database: {url: hush}")
    return ForbiddenPaths(data, data / "scratch", (config,))


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/home",
        "/root",
        "home",
        "home/artist",
        "farm",
        "farm/data",
        "farm/data/store",
        "farm/data/store/ab",
        "farm/data/renderctl.db",
        "farm/data/scratch",
        "farm/data/scratch/w1",
        "farm/data/scratch/w1/../../store",
        "etc",
        "etc/renderctl.yaml",
        "",
    ],
)
def test_nothing_is_opened_that_is_or_holds_or_lies_in_what_is_private(
    forbidden: ForbiddenPaths, tmp_path: Path, path: str
) -> None:
    private = (str(tmp_path / path),)
    for reads, writes in ((private, ()), ((), private)):
        with pytest.raises(SandboxTooWide):
            Sandbox(reads=reads, writes=writes, forbidden=forbidden).wrap(("/bin/true",))


@pytest.mark.parametrize("path", ["farm/data/scratch/w1/scene", "home/artist/project", "farm/models", "etc/fonts"])
def test_what_lies_beside_it_is_opened(forbidden: ForbiddenPaths, tmp_path: Path, path: str) -> None:
    assert str(tmp_path / path) in Sandbox((str(tmp_path / path),), forbidden=forbidden).wrap(("/bin/true",))


def test_a_link_is_what_it_leads_to(forbidden: ForbiddenPaths, tmp_path: Path) -> None:
    (tmp_path / "models").symlink_to(tmp_path / "farm")
    with pytest.raises(SandboxTooWide, match=r"holds .*/data"):
        Sandbox((str(tmp_path / "models"),), forbidden=forbidden).wrap(("/bin/true",))


def test_of_a_system_folder_that_holds_private_things_all_else_is_opened(tmp_path: Path, home: Path) -> None:
    for name in ("lib", "share/fonts", "local/lib", "local/data/store"):
        (tmp_path / "usr" / name).mkdir(parents=True)
    opened = ForbiddenPaths(tmp_path / "usr/local/data").expand_allowed([str(tmp_path / "usr")])
    assert sorted(opened) == [str(tmp_path / "usr" / name) for name in ("lib", "local/lib", "share")]


def python_at(path: Path, target: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)
    return path


def test_of_a_python_its_library_and_packages_are_opened_and_never_its_prefix(tmp_path: Path, home: Path) -> None:
    base = tmp_path / "opt/python3.11"
    real = base / "bin/python3.11"
    for folder in (base / "bin", base / "lib/python3.11/lib-dynload", home / ".local/lib/python3.11/site-packages"):
        folder.mkdir(parents=True)
    real.touch()
    (base / "lib/libpython3.11.so.1.0").touch()
    shortcut = python_at(home / ".local/bin/python3", real)
    assert set(program_paths(str(shortcut))) == {
        str(real),
        str(base / "lib/libpython3.11.so.1.0"),
        str(base / "lib/python3.11"),
    }
    venv = tmp_path / "venv"
    python = python_at(venv / "bin/python", shortcut)
    (venv / "lib/python3.11/site-packages").mkdir(parents=True)
    (venv / "pyvenv.cfg").write_text(f"home = {shortcut.parent}\nversion = 3.11.7\n")
    assert set(program_paths(str(python))) == {
        *program_paths(str(shortcut)),
        str(venv / "pyvenv.cfg"),
        str(venv / "lib/python3.11"),
        str(home / ".local/lib/python3.11"),
    }


def test_of_a_python_in_the_systems_own_folder_the_root_is_not_opened() -> None:
    for opened in program_paths("/bin/python3"):
        assert opened.startswith("/usr/") or opened.startswith("/lib"), opened


def test_the_python_of_these_tests_is_opened_as_far_as_any_sandbox_may() -> None:
    ForbiddenPaths().require(program_paths(sys.executable))


def test_of_a_blender_its_own_folder_is_opened_and_of_a_lonely_program_nothing_else(tmp_path: Path) -> None:
    blender = tmp_path / "blender-5.0/blender"
    (blender.parent / "5.0/datafiles").mkdir(parents=True)
    blender.write_bytes(b"\x7fELF")
    link = python_at(tmp_path / "bin/blender", blender)
    assert program_paths(str(link)) == (str(blender), str(blender.parent))
    lonely = tmp_path / "bin/lonely"
    lonely.write_bytes(b"\x7fELF")
    assert program_paths(str(lonely)) == (str(lonely),)
    script = tmp_path / "bin/wrapped"
    script.write_text(f"#!{lonely}\n")
    assert program_paths(str(script)) == (str(script), str(lonely))


def test_folders_of_libraries_and_colours_that_a_session_is_told_of_are_opened() -> None:
    environment = {"LD_LIBRARY_PATH": "/opt/gpu/lib::relative", "OCIO": "/show/aces/config.ocio"}
    assert list(paths_in_environment(environment)) == ["/opt/gpu/lib", "/show/aces"]
