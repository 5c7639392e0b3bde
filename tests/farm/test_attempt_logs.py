"""What a frame prints comes into its log, also where the disk has no hard links."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from renderctl.farm.worker.attempt_dir import AttemptDir


@pytest.fixture
def session(tmp_path: Path, mount: Callable[[Path, str], None]) -> Path:
    """The scratch of a session on another disk than the logs: nothing can be linked to there."""
    folder = tmp_path / "session"
    mount(folder, "size=1m")
    return folder


def given_tray(tmp_path: Path, session: Path) -> AttemptDir:
    attempt_dir = AttemptDir(tmp_path, "a1")
    attempt_dir.create(session, "$ blender\n")
    return attempt_dir


def test_a_log_that_can_not_be_linked_is_collected(tmp_path: Path, session: Path) -> None:
    attempt_dir = given_tray(tmp_path, session)
    assert attempt_dir.log_alias.parent == session
    attempt_dir.log_alias.write_text("Saved: 0001.png\n")
    attempt_dir.collect_log()
    assert attempt_dir.log.read_text() == "$ blender\nSaved: 0001.png\n"


def test_a_link_or_a_pipe_in_its_place_brings_nothing(tmp_path: Path, session: Path) -> None:
    attempt_dir = given_tray(tmp_path, session)
    (tmp_path / "secret").write_text("hush")
    attempt_dir.log_alias.symlink_to(tmp_path / "secret")
    attempt_dir.collect_log()
    attempt_dir.log_alias.unlink()
    os.mkfifo(attempt_dir.log_alias)
    attempt_dir.collect_log()
    assert attempt_dir.log.read_text() == "$ blender\n"


def test_a_log_that_is_linked_has_it_once(tmp_path: Path) -> None:
    (tmp_path / "session").mkdir()
    attempt_dir = given_tray(tmp_path, tmp_path / "session")
    with attempt_dir.log_alias.open("a") as printed:
        printed.write("Saved: 0001.png\n")
    attempt_dir.collect_log()
    assert attempt_dir.log.read_text() == "$ blender\nSaved: 0001.png\n"
