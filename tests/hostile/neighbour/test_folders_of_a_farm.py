"""Who else has an account on a machine sees nothing of what a farm keeps there, whatever umask it was made with."""

import os
import stat
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

import pytest

from renderctl.core.private_files import ensure_private_folder, is_open_to_others, restrict_to_owner
from renderctl.core.settings import Settings
from renderctl.farm.jobs.outputs import open_output
from renderctl.farm.jobs.thumbnails import Thumbnails
from renderctl.farm.models.file_hashes import hash_files
from renderctl.farm.models.incoming_uploads import partial_upload
from renderctl.farm.node_id import node_number
from renderctl.wiring.ports import open_farm
from tests.fake_blender import FakeExecutor
from tests.farms import ACTOR, close, given_job, make_farm, quick_settings, work_off

FOLDERS = {"cache", "incoming", "nodes", "scratch", "store", "thumbnails"}


@pytest.fixture(params=[0o022, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def used(data: Path) -> None:
    """A farm that has rendered, received, hashed and shown something."""
    farm = make_farm(data, settings=quick_settings(data), executor=FakeExecutor())
    job = given_job(farm, "1")
    work_off(farm)
    with partial_upload(farm, ACTOR, "0" * 64).begun(0):
        pass
    node_number(farm)
    hash_files(farm, [data / "given.blend"])
    thumbnails = Thumbnails(farm)
    making = thumbnails.request(open_output(farm, ACTOR, job.id, 1, "0001.png"), 160, "ada")
    assert isinstance(making, Future)
    making.result(60)
    thumbnails.close()
    close(farm)


def test_what_a_farm_keeps_is_for_its_owner_alone(umask: int, tmp_path: Path) -> None:
    data = tmp_path / "data"
    used(data)
    kept = {path.name: mode(path) for path in data.iterdir() if path.name != "given.blend"}
    assert kept.keys() >= FOLDERS
    assert {name for name, bits in kept.items() if bits & 0o077} == set()


def test_what_was_open_to_others_is_closed_when_it_is_used(umask: int, tmp_path: Path) -> None:
    data = tmp_path / "data"
    for name in (*FOLDERS, "store/blobs", "store/logs", "store/incoming"):
        (data / name).mkdir(parents=True)
    for path in data.rglob("*"):
        path.chmod(0o777)
    used(data)
    wide = {str(path.relative_to(data)) for path in data.rglob("*") if path.is_dir() and mode(path) & 0o077}
    assert not wide & {*FOLDERS, "store/blobs", "store/logs", "store/incoming"}


def test_any_command_closes_what_an_older_version_has_left_open(tmp_path: Path) -> None:
    for name in FOLDERS:
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(0o755)
    open_farm(Settings(tmp_path))
    assert {mode(tmp_path / name) for name in FOLDERS} == {0o700}


def test_a_folder_that_a_group_shares_on_purpose_stays_the_groups_alone(umask: int, tmp_path: Path) -> None:
    tmp_path.chmod(0o2775)
    ensure_private_folder(tmp_path / "store")
    assert mode(tmp_path / "store") == 0o2770
    (tmp_path / "store").chmod(0o2777)
    ensure_private_folder(tmp_path / "store")
    assert mode(tmp_path / "store") == 0o2770
    assert is_open_to_others(tmp_path)
    tmp_path.chmod(0o2770)
    assert not is_open_to_others(tmp_path)


def test_a_link_is_not_followed_to_what_is_closed(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    other.chmod(0o755)
    (tmp_path / "store").symlink_to(other)
    restrict_to_owner(tmp_path / "store")
    assert mode(other) == 0o755
