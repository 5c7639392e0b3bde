"""The garbage collection: what nothing points to goes, and nothing that a row points to, whoever is at it meanwhile."""

import hashlib
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, select

from renderctl.core.actors import local_actor
from renderctl.core.errors import BlobCollected, Conflict, StoreUnavailable
from renderctl.core.jobs import Input
from renderctl.core.new_model import NewModel
from renderctl.core.states import JobState
from renderctl.farm import Farm
from renderctl.farm.admin.gc import Collected, collect
from renderctl.farm.jobs.submit import SubmitRequest, submit
from renderctl.farm.models.blob_upload import upload_missing
from renderctl.repository.database.unit_of_work import db_now
from renderctl.repository.schema.jobs import blob_leases
from renderctl.stores.local import LocalStore
from tests.databases import farm_on
from tests.farms import ACTOR, FACTS, close, given_job, given_model, log_of, wait_for, work_off, work_until


@pytest.fixture
def farm(database_url: str, tmp_path: Path) -> Iterator[Farm]:
    made = farm_on(database_url, tmp_path)
    yield made
    close(made)


def given_blob(farm: Farm, content: bytes) -> str:
    path = farm.settings.data_dir / "given"
    path.write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    farm.store.put(path, digest)
    return digest


def uploaded(farm: Farm, *contents: bytes) -> NewModel:
    """Files that were sent the way `upload` sends them, and the model that they will be."""
    files = {}
    for content in contents:
        digest = hashlib.sha256(content).hexdigest()
        path = farm.settings.data_dir / digest
        path.write_bytes(content)
        files[path] = Input(f"{digest}.blend", digest, len(content))
    upload_missing(farm, files)
    inputs = tuple(files.values())
    return NewModel("sent", inputs[0].path, inputs[0].digest, FACTS, inputs)


def expire_leases(farm: Farm) -> None:
    """As if they had been taken a lease and a day ago."""

    def writing(connection) -> None:  # type: ignore[no-untyped-def]
        connection.execute(blob_leases.update().values(until=db_now(connection) - timedelta(days=1)))

    farm.repository.database.write(writing)


def collected(farm: Farm, grace_hours: float = 0.0, *, dry_run: bool = False) -> Collected:
    return collect(farm, ACTOR, grace_hours=grace_hours, dry_run=dry_run)


def stored(farm: Farm) -> set[str]:
    return {blob.digest for blob in farm.store.blobs()}


def test_what_nothing_points_to_goes_and_everything_else_stays(farm: Farm, tmp_path: Path) -> None:
    hero = tmp_path / "hero.glb"
    hero.write_bytes(b"glTF hero")
    model = given_model(farm)
    request = SubmitRequest(frames="1-2", replacements={"Placeholder": hero})
    job = submit(farm, ACTOR, model, request).job
    work_until(farm, job)
    pointed_at = stored(farm)
    given_blob(farm, b"nobody's")
    expire_leases(farm)
    found = collected(farm)
    assert (found.removed, found.removed_bytes, found.kept, found.missing) == (1, 8, len(pointed_at), [])
    assert stored(farm) == pointed_at
    assert len(pointed_at) == 3, "the model's, the job's, and the frames', which are all alike"


def test_what_was_put_just_now_is_left_for_the_grace(farm: Farm) -> None:
    given_model(farm)
    blob = given_blob(farm, b"nobody's")
    found = collected(farm, grace_hours=24.0)
    assert (found.removed, found.young) == (0, 1)
    assert blob in stored(farm)


def test_what_somebody_asked_for_is_left_as_long_as_the_lease(farm: Farm) -> None:
    given_model(farm)
    blob = given_blob(farm, b"nobody's yet")
    assert farm.repository.blobs.unknown({blob}) == {blob}
    assert collected(farm).removed == 0
    expire_leases(farm)
    assert collected(farm).removed == 1
    assert blob not in stored(farm)


def test_a_dry_run_tells_the_same_and_removes_nothing(farm: Farm) -> None:
    given_model(farm)
    blob = given_blob(farm, b"nobody's")
    farm.store.put_log("attempt-1", [b"Fra:1"])
    told = collected(farm, dry_run=True)
    assert blob in stored(farm)
    assert log_of(farm.store, "attempt-1")
    assert replace(collected(farm), dry_run=True) == told


def test_blobs_of_a_model_that_was_removed_go_unless_another_has_them(farm: Farm) -> None:
    first = farm.repository.models.add(uploaded(farm, b"BLENDER one", b"shared"), actor=ACTOR)[0]
    other = replace(uploaded(farm, b"BLENDER two", b"shared"), name="other")
    farm.repository.models.add(other, actor=ACTOR)
    farm.repository.models.remove(first.id, actor=ACTOR)
    expire_leases(farm)
    assert collected(farm).removed == 1
    assert stored(farm) == {each.digest for each in other.inputs}


def test_rows_that_point_to_blobs_which_the_store_lacks_are_told_and_left_alone(farm: Farm) -> None:
    model = given_model(farm)
    job = given_job(farm, "1-2", model=model)
    work_until(farm, job)
    (lost,) = {each.digest for each in farm.repository.outputs.of_job(job.id)[0]}
    farm.store.remove([lost])
    told = [each.what for each in collected(farm).missing]
    assert told == [f"job {job.id}, 0001.png of task 1", f"job {job.id}, 0002.png of task 2"]
    assert farm.repository.outputs.count(job.id) == 2


def test_logs_of_attempts_that_there_are_no_more_go(farm: Farm) -> None:
    job = given_job(farm, "1")
    work_until(farm, job)
    farm.store.put_log("gone", [b"Fra:1"])
    found = collected(farm)
    assert (found.logs, found.logs_bytes) == (1, 5)
    assert [log.attempt_id for log in farm.store.logs()] == [farm.repository.attempts.of_job(job.id)[0].id]


def test_a_store_full_of_what_the_database_never_knew_is_left_alone(farm: Farm) -> None:
    given_blob(farm, b"another farm's")
    with pytest.raises(Conflict, match="another farm"):
        collected(farm)
    assert stored(farm)


def test_a_farm_whose_last_model_was_removed_is_still_its_own(farm: Farm) -> None:
    model = given_model(farm)
    farm.repository.models.remove(model.id, actor=ACTOR)
    assert collected(farm).removed == 1
    assert collected(farm).removed == 0
    assert not stored(farm)


def test_the_audit_log_tells_what_was_collected_and_by_whom(farm: Farm) -> None:
    given_model(farm)
    given_blob(farm, b"nobody's")
    collect(farm, local_actor("eve"), grace_hours=0.0)
    collect(farm, local_actor("eve"), grace_hours=0.0)
    (entry,) = [each for each in farm.repository.audit.newest() if each.action == "store.collect"]
    assert (entry.actor, entry.details) == ("eve", {"blobs": 1, "bytes": 8, "logs": 0})


def test_an_upload_that_took_longer_than_its_lease_is_told_when_its_files_were_collected(farm: Farm) -> None:
    given_model(farm)
    since = farm.repository.time()
    slow = uploaded(farm, b"BLENDER slow")
    expire_leases(farm)
    assert collected(farm).removed == 1
    with pytest.raises(BlobCollected):
        farm.repository.models.add(slow, actor=ACTOR, since=since)
    since = farm.repository.time()
    again = uploaded(farm, b"BLENDER slow")
    farm.repository.models.add(again, actor=ACTOR, since=since)
    assert farm.store.missing({again.digest}) == set()


def test_an_upload_that_took_longer_than_its_lease_is_kept_when_nobody_collected(farm: Farm) -> None:
    given_model(farm)
    since = farm.repository.time()
    slow = uploaded(farm, b"BLENDER slow")
    expire_leases(farm)
    farm.repository.models.add(slow, actor=ACTOR, since=since)
    assert collected(farm).removed == 0


class Eager(LocalStore):
    """A store that is cleaned up right after a few of the puts."""

    def __init__(self, farm: Farm, times: int) -> None:
        super().__init__(farm.settings.data_dir / "store")
        self.farm = farm
        self.times = times

    def put(self, path: Path, digest: str, *, replace: bool = False) -> bool:
        new = super().put(path, digest, replace=replace)
        if self.times:
            self.times -= 1
            assert collected(self.farm).removed == 1
        return new


def test_a_frame_that_is_collected_before_it_is_published_is_stored_again(farm: Farm) -> None:
    job = given_job(farm, "1")
    work_off(replace(farm, store=Eager(farm, times=1)))
    assert farm.repository.jobs.get(job.id).state is JobState.SUCCEEDED
    (output,) = farm.repository.outputs.of_job(job.id)[0]
    assert farm.store.missing({output.digest}) == set()
    assert [attempt.error for attempt in farm.repository.attempts.of_job(job.id)] == [None]


@pytest.mark.parametrize("removes", [False, True])
def test_a_collector_that_dies_leaves_nothing_that_stands_in_the_way(farm: Farm, removes: bool) -> None:
    model = given_model(farm)
    job = given_job(farm, "1", model=model)
    work_until(farm, job)
    (output,) = farm.repository.outputs.of_job(job.id)[0]
    again, _ = farm.repository.jobs.retry(job.id, actor=ACTOR, frames=[1])
    blob = given_blob(farm, b"nobody's")

    def die(digests: object) -> None:
        if removes:
            farm.store.remove([blob])
        raise StoreUnavailable("killed")

    with pytest.raises(StoreUnavailable):
        farm.repository.gc.collect([blob], die, limit_s=0.2)
    with pytest.raises(BlobCollected):
        farm.repository.models.add(NewModel("late", "x.blend", blob, FACTS, (Input("x.blend", blob, 8),)), actor=ACTOR)
    farm.repository.blobs.unknown({blob})
    since = farm.repository.time()
    given_blob(farm, b"nobody's")
    farm.repository.models.add(
        NewModel("late", "x.blend", blob, FACTS, (Input("x.blend", blob, 8),)), actor=ACTOR, since=since
    )
    assert collected(farm).removed == 0
    assert farm.store.missing({blob, output.digest}) == set()
    assert again.id == job.id


class Slow(LocalStore):
    """A store that acts on a removal a while after it was asked to."""

    removal_limit_s = 3.0

    def __init__(self, farm: Farm) -> None:
        super().__init__(farm.settings.data_dir / "store")
        self.asked, self.acts = threading.Event(), threading.Event()

    def remove(self, digests: Iterable[str]) -> None:
        doomed = list(digests)
        self.asked.set()
        assert self.acts.wait(20)
        super().remove(doomed)


def test_who_wants_what_is_being_removed_waits_until_it_is_gone_and_puts_it_anew(farm: Farm) -> None:
    """Whatever becomes of the collector's connection: nothing hangs on locks, which a server drops."""
    given_model(farm)
    blob, slow = given_blob(farm, b"nobody's"), Slow(farm)
    with ThreadPoolExecutor(2) as pool:
        collecting = pool.submit(collected, replace(farm, store=slow))
        assert slow.asked.wait(20)
        sending = pool.submit(uploaded, farm, b"nobody's")
        wait_for(farm, lambda: leased(farm, blob))
        assert not sending.done()
        slow.acts.set()
        assert collecting.result(20).removed == 1
        since = farm.repository.time()
        new = sending.result(20)
    farm.repository.models.add(new, actor=ACTOR, since=since)
    assert farm.store.missing({blob}) == set()


def test_a_collector_that_was_frozen_for_too_long_begins_no_removal(farm: Farm) -> None:
    given_model(farm)
    blobs = sorted(given_blob(farm, content) for content in (b"one", b"two"))
    seconds = iter([0.0, 1.0, 100.0])  # it is frozen before the second removal
    removed = farm.repository.gc.collect(blobs, farm.store.remove, limit_s=10.0, clock=lambda: next(seconds))
    assert removed == blobs[:1]
    assert farm.store.missing(set(blobs)) == set(blobs[:1])
    assert farm.repository.blobs.unknown(set(blobs)) == set(blobs), "no mark is left to wait for"


def leased(farm: Farm, digest: str) -> bool:
    def reading(connection: Connection) -> bool:
        until = connection.scalar(select(blob_leases.c.until).where(blob_leases.c.digest == digest))
        return until is not None and bool(until > db_now(connection) + timedelta(hours=1))

    return farm.repository.database.read(reading)


def test_what_was_collected_long_ago_is_forgotten(farm: Farm) -> None:
    given_model(farm)
    given_blob(farm, b"nobody's")
    assert collected(farm).removed == 1

    def count(connection) -> int:  # type: ignore[no-untyped-def]
        return len(connection.execute(blob_leases.select()).all())

    assert farm.repository.database.read(count) == 1
    long_ago = timedelta(days=9)
    farm.repository.database.write(
        lambda connection: connection.execute(
            blob_leases.update().values(
                until=db_now(connection) - long_ago,
                collected_at=db_now(connection) - long_ago,
            )
        )
    )
    collected(farm)
    assert farm.repository.database.read(count) == 0
