"""A store that has other bytes than were put: the truth ends the job, and the same file heals the store."""

import hashlib
from pathlib import Path

import pytest
from sqlalchemy import select

from renderctl.core.errors import BlobDamaged
from renderctl.core.jobs import Fault, Input
from renderctl.core.models import Model
from renderctl.core.states import JobState
from renderctl.farm import Farm
from renderctl.farm.admin.scrub import scrub
from renderctl.farm.jobs.control import retry
from renderctl.farm.models.blob_upload import upload_missing
from renderctl.repository.schema.jobs import attempts, job_exclusions
from tests.farms import ACTOR, at_work, given_job, given_model, make_farm, wait_for, work_until


@pytest.fixture
def farm(tmp_path: Path) -> Farm:
    """With a store whose files a test can reach."""
    return make_farm(tmp_path)


def damage(farm: Farm, digest: str) -> None:
    blob = farm.settings.data_dir / "store" / "blobs" / digest[:2] / digest[2:]
    size = blob.stat().st_size
    blob.chmod(0o644)
    blob.write_bytes(b"X" * size)


def damaged_model(farm: Farm) -> Model:
    model = given_model(farm)
    damage(farm, digest_of(farm, model))
    return model


def digest_of(farm: Farm, model: Model) -> str:
    (file,) = farm.repository.models.inputs(model.id)
    return file.digest


def send_again(farm: Farm) -> list[Input]:
    source = farm.settings.data_dir / "given.blend"
    content = source.read_bytes()
    return upload_missing(farm, {source: Input("shot.blend", hashlib.sha256(content).hexdigest(), len(content))})


def test_a_job_whose_scene_is_damaged_ends_at_once_with_the_truth_and_no_worker_is_to_blame(farm: Farm) -> None:
    job = given_job(farm, "1-4", model=damaged_model(farm))
    with at_work(farm):
        wait_for(farm, lambda: farm.repository.jobs.get(job.id).state is JobState.FAILED)
    error = farm.repository.jobs.get(job.id).error
    assert error is not None
    assert "is damaged" in error
    assert "Upload the same file again" in error
    tried = farm.repository.database.read(lambda connection: connection.execute(select(attempts.c.fault)).all())
    assert [fault for (fault,) in tried] == [Fault.FARM]
    assert farm.repository.database.read(lambda connection: connection.execute(select(job_exclusions)).all()) == []


def test_the_same_file_sent_again_heals_the_store_and_the_job_is_retried(farm: Farm) -> None:
    model = damaged_model(farm)
    job = given_job(farm, "1-4", model=model)
    with at_work(farm):
        wait_for(farm, lambda: farm.repository.jobs.get(job.id).state is JobState.FAILED)
    assert [file.digest for file in send_again(farm)] == [digest_of(farm, model)]
    assert send_again(farm) == []
    retry(farm, ACTOR, job.id)
    work_until(farm, job)
    assert farm.repository.jobs.get(job.id).state is JobState.SUCCEEDED


def test_a_scrub_names_what_is_damaged_and_who_needs_it_until_it_is_healed(farm: Farm) -> None:
    model = damaged_model(farm)
    digest = digest_of(farm, model)
    found = scrub(farm, ACTOR, days=1)
    assert (found.damaged, found.read) == ([digest], 1)
    assert [pointer.what for pointer in found.needed_by] == [f"model {model.ref}, shot.blend"]
    send_again(farm)
    healed = scrub(farm, ACTOR, days=1)
    assert (healed.damaged, healed.repaired) == ([], 0)


def test_days_of_scrubbing_read_every_blob_once(farm: Farm) -> None:
    for number in range(20):
        given_model(farm, f"shot-{number}")
    shares = [scrub(farm, ACTOR, days=7, day=day) for day in range(7)]
    assert sum(share.read for share in shares) == 20
    assert max(share.read for share in shares) < 20


def test_a_store_says_that_a_blob_is_damaged_and_who_reads_reports_it(farm: Farm) -> None:
    model = given_model(farm)
    digest = digest_of(farm, model)
    damage(farm, digest)
    with pytest.raises(BlobDamaged):
        farm.store.get(digest, farm.settings.data_dir / "fetched")
    assert farm.repository.damaged_blobs.among([digest]) == set(), "who reads reports, not the store"
