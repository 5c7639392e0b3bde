"""Uploading again sends only what is new; what changes meanwhile is an error that names it."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from renderctl.core.errors import FileChanged, StoreUnavailable
from renderctl.core.jobs import Input
from renderctl.core.new_model import NewModel
from renderctl.farm import Farm
from renderctl.farm.models.blob_upload import upload_missing
from renderctl.stores.minio import MinioStore
from tests.farms import ACTOR, FACTS


def given_files(folder: Path, count: int) -> dict[Path, Input]:
    files = {}
    for number in range(count):
        source = folder / f"texture-{number}.png"
        source.write_bytes(f"pixels of {number}".encode())
        digest = hashlib.sha256(source.read_bytes()).hexdigest()
        files[source] = Input(source.name, digest, source.stat().st_size)
    return files


def given_uploaded(farm: Farm, files: dict[Path, Input], name: str = "shot") -> None:
    upload_missing(farm, files)
    inputs = tuple(files.values())
    farm.repository.models.add(NewModel(name, inputs[0].path, "0" * 64, FACTS, inputs), actor=ACTOR)


def digests(files: dict[Path, Input]) -> set[str]:
    return {each.digest for each in files.values()}


def test_a_first_upload_sends_every_file_once(farm: Farm, tmp_path: Path) -> None:
    files = given_files(tmp_path, 50)
    twin = tmp_path / "twin.png"
    twin.write_bytes((tmp_path / "texture-7.png").read_bytes())
    files[twin] = Input("twin.png", files[tmp_path / "texture-7.png"].digest, 1)
    assert len(upload_missing(farm, files)) == 50
    assert farm.store.missing(digests(files)) == set()


def test_a_second_upload_sends_what_is_new(farm: Farm, tmp_path: Path) -> None:
    files = given_files(tmp_path, 50)
    given_uploaded(farm, files)
    assert upload_missing(farm, files) == []
    more = given_files(tmp_path, 53)
    assert {each.path for each in upload_missing(farm, more)} == {f"texture-{number}.png" for number in (50, 51, 52)}


def test_what_was_put_and_is_needed_by_nothing_yet_may_be_put_again(farm: Farm, tmp_path: Path) -> None:
    files = given_files(tmp_path, 3)
    upload_missing(farm, files)
    again = upload_missing(farm, files)
    # a folder need not have them once more; to ask a bucket costs as much as to put a small file
    assert len(again) == (0 if farm.settings.store.kind == "local" else 3)
    assert farm.store.missing(digests(files)) == set()


def test_a_store_that_lost_much_gets_it_again(farm: Farm, tmp_path: Path) -> None:
    """Some of what should be there is looked for; when one is missing, all of it."""
    files = given_files(tmp_path, 100)
    given_uploaded(farm, files)
    lost = sorted(digests(files))[:70]
    farm.store.remove(lost)
    assert sorted(each.digest for each in upload_missing(farm, files)) == lost
    assert farm.store.missing(digests(files)) == set()


def test_a_store_that_lost_one_file_of_many_gets_it_again_when_all_are_looked_for(farm: Farm, tmp_path: Path) -> None:
    files = given_files(tmp_path, 100)
    given_uploaded(farm, files)
    farm.store.remove([files[tmp_path / "texture-42.png"].digest])
    assert [each.path for each in upload_missing(farm, files, verify=True)] == ["texture-42.png"]


def test_a_file_that_changed_since_it_was_hashed_is_named_and_not_stored(farm: Farm, tmp_path: Path) -> None:
    files = given_files(tmp_path, 20)
    (tmp_path / "texture-7.png").write_bytes(b"painted over")
    with pytest.raises(FileChanged, match=r"texture-7\.png") as caught:
        upload_missing(farm, files)
    assert "again" in (caught.value.hint or "")
    assert files[tmp_path / "texture-7.png"].digest in farm.store.missing(digests(files))


def test_a_file_that_vanished_since_it_was_hashed_is_named(farm: Farm, tmp_path: Path) -> None:
    files = given_files(tmp_path, 20)
    (tmp_path / "texture-7.png").unlink()
    with pytest.raises(FileChanged, match=r"texture-7\.png.*No such file"):
        upload_missing(farm, files)


def test_a_store_that_is_out_of_reach_ends_the_upload(farm: Farm, tmp_path: Path) -> None:
    files = given_files(tmp_path, 200)
    upload_missing(farm, {})
    farm.store.check()
    if farm.settings.store.kind == "local":
        (tmp_path / "store" / "blobs").rename(tmp_path / "unplugged")
    else:
        farm = replace(farm, store=MinioStore(replace(farm.settings.store, endpoint="127.0.0.1:1")))
    with pytest.raises(StoreUnavailable):
        upload_missing(farm, files)
