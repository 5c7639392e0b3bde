"""Outputs in a folder: each whole or not at all, verified, taken up again, and never in another job's folder."""

import hashlib
import io
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from minio import Minio

from renderctl.core.attempts import Cost
from renderctl.core.errors import DigestMismatch, OutputNotWritable
from renderctl.core.jobs import Job, Output
from renderctl.farm import Farm
from renderctl.farm.jobs.download import check_writable, download, links
from tests.farms import ACTOR, given_job, given_model, given_worker


def given_rendered(farm: Farm, frames: str = "1-2", **request: object) -> Job:
    """A job of which every frame is published, with a few bytes that differ."""
    job = given_job(farm, frames, **request)
    claimant = given_worker(farm)
    while claimed := farm.repository.attempts.claim(job.id, claimant).attempts:
        (attempt,) = claimed
        content = f"{job.id} {attempt.frame} {attempt.camera}".encode()
        file = farm.settings.data_dir / "frame"
        file.write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        farm.store.put(file, digest)
        name = f"{attempt.frame:04d}.png"
        output = Output(name, digest, len(content), 4, 4, attempt.frame, attempt.camera, attempt.number)
        farm.repository.attempts.complete(attempt, [output], Cost())
    return job


def damage_blobs(farm: Farm) -> None:
    """Every blob keeps its size and loses its content."""
    settings = farm.settings.store
    if settings.kind == "local":
        for blob in (farm.settings.data_dir / "store" / "blobs").rglob("*"):
            if blob.is_file():
                blob.chmod(0o644)
                blob.write_bytes(b"y" * blob.stat().st_size)
        return
    client = Minio(settings.endpoint or "", settings.access_key, settings.secret_key, secure=settings.secure)
    for each in client.list_objects(bucket_name=settings.bucket, prefix="blobs/", recursive=True):
        damaged = io.BytesIO(b"y" * (each.size or 0))
        client.put_object(
            bucket_name=settings.bucket, object_name=each.object_name or "", data=damaged, length=each.size or 0
        )


def names(folder: Path) -> list[str]:
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    )


def test_the_folder_is_called_as_the_job_and_the_files_as_the_frames(farm: Farm, tmp_path: Path) -> None:
    job = given_rendered(farm, "1,-2,12000", name="my shot")
    done = download(farm, ACTOR, job.id, tmp_path / "out")
    assert (done.folder, done.files, done.written) == (tmp_path / "out" / "my shot", 3, 3)
    assert names(done.folder) == ["-002.png", "0001.png", "12000.png"]


def test_every_camera_has_its_folder_when_there_are_several(farm: Farm, tmp_path: Path) -> None:
    done = download(farm, ACTOR, given_rendered(farm, "1", cameras=("Camera", "Side")).id, tmp_path)
    assert names(done.folder) == ["Camera/0001.png", "Side/0001.png"]


def test_what_is_there_is_kept_and_what_is_cut_off_is_fetched_again(farm: Farm, tmp_path: Path) -> None:
    job = given_rendered(farm, "1-3")
    first = download(farm, ACTOR, job.id, tmp_path)
    (first.folder / "0001.png").write_bytes(b"cut")
    (first.folder / "0002.png").unlink()
    kept = (first.folder / "0003.png").stat()
    again = download(farm, ACTOR, job.id, tmp_path)
    assert (again.folder, again.files, again.written) == (first.folder, 3, 2)
    assert (first.folder / "0003.png").stat().st_mtime_ns == kept.st_mtime_ns
    assert (first.folder / "0001.png").read_bytes() == f"{job.id} 1 None".encode()


def test_a_changed_file_of_the_same_size_is_noticed(farm: Farm, tmp_path: Path) -> None:
    job = given_rendered(farm, "1")
    frame = download(farm, ACTOR, job.id, tmp_path).folder / "0001.png"
    frame.write_bytes(b"x" * frame.stat().st_size)
    assert download(farm, ACTOR, job.id, tmp_path).written == 1


def test_a_blob_that_is_damaged_is_refused_and_leaves_nothing(farm: Farm, tmp_path: Path) -> None:
    job = given_rendered(farm, "1")
    damage_blobs(farm)
    with pytest.raises(DigestMismatch):
        download(farm, ACTOR, job.id, tmp_path / "out")
    assert names(tmp_path / "out") == []


def test_the_folder_of_another_job_is_left_alone(farm: Farm, tmp_path: Path) -> None:
    model = given_model(farm)
    one, two = (given_rendered(farm, "1", name="same", model=model) for _ in range(2))
    first, second = download(farm, ACTOR, one.id, tmp_path), download(farm, ACTOR, two.id, tmp_path)
    assert (first.folder.name, second.folder.name) == ("same", f"same-{two.id}")
    assert download(farm, ACTOR, two.id, tmp_path).written == 0


def test_a_folder_with_somebodys_files_is_left_alone(farm: Farm, tmp_path: Path) -> None:
    (tmp_path / "shot").mkdir()
    (tmp_path / "shot" / "holiday.jpg").write_bytes(b"dear")
    job = given_rendered(farm, "1")
    assert download(farm, ACTOR, job.id, tmp_path).folder.name == f"shot-{job.id}"


@pytest.mark.slow
def test_a_name_that_would_lead_out_of_the_folder_does_not(farm: Farm, tmp_path: Path) -> None:
    done = download(farm, ACTOR, given_rendered(farm, "1", name="../../etc").id, tmp_path / "out")
    assert done.folder.parent == tmp_path / "out"
    assert names(tmp_path / "out") == [f"{done.folder.name}/0001.png"]


def test_a_folder_that_can_not_be_made_is_an_error_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputNotWritable):
        check_writable(tmp_path / "file" / "below")
    check_writable(tmp_path / "new" / "deep")
    assert not (tmp_path / "new").exists()


def test_every_output_has_an_address_that_leads_to_it(farm: Farm) -> None:
    job = given_rendered(farm, "1-2", cameras=("Camera", "Side"))
    found = links(farm, ACTOR, job.id, 60.0)
    assert sorted((each.frame, each.camera) for each in found) == [
        (frame, camera) for frame in (1, 2) for camera in ("Camera", "Side")
    ]
    for each in found:
        with urllib.request.urlopen(each.url, timeout=20) as answer:
            assert answer.read() == f"{job.id} {each.frame} {each.camera}".encode()


def test_those_who_try_the_same_new_folder_do_not_get_in_each_others_way(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: check_writable(tmp_path / "new" / "out"), range(400)))  # raises what one has raised
