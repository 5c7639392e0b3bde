"""What people send who can not reach the store themselves; what is measured; what changes: on both sides of a farm."""

import hashlib
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from renderctl.core.actors import Actor, Role
from renderctl.core.errors import MissingFiles, NotAllowed, NotStored
from renderctl.core.jobs import Input
from renderctl.core.settings import ServeSettings, Settings
from renderctl.farm import Farm
from renderctl.farm.admin.metrics import metrics
from renderctl.farm.change_feed import ChangeFeed
from renderctl.farm.models.incoming_uploads import partial_upload, promote, wanted_files
from renderctl.farm.models.register_model import UploadedModel, add_model
from tests.farms import ACTOR, FACTS, close, given_job, given_worker, make_farm, work_off

SCENE = b"BLENDER-v500 " + bytes(1000)
FILE = Input("shot.blend", hashlib.sha256(SCENE).hexdigest(), len(SCENE))
ADA = Actor("ada", role=Role.ARTIST, projects=frozenset(["films"]))
EVE = Actor("eve", role=Role.ARTIST, projects=frozenset(["games"]))
OFFERED = UploadedModel("shot", FILE.path, FACTS, (FILE,))


def send(farm: Farm, actor: Actor, content: bytes = SCENE) -> None:
    part = partial_upload(farm, actor, hashlib.sha256(content).hexdigest(), len(content))
    with part.begun(0) as writing:
        writing.write(content)
        part.complete(len(content))


def test_who_may_read_a_blob_need_not_send_it_and_nobody_else_is_told_of_it(farm: Farm) -> None:
    assert [each.digest for each in wanted_files(farm, ADA, [FILE])] == [FILE.digest]
    send(farm, ADA)
    assert wanted_files(farm, ADA, [FILE]) == []
    model, new = add_model(farm, ADA, OFFERED)
    assert (model.ref, model.owner, model.project, new) == ("shot@1", "ada", "films", True)
    assert add_model(farm, ADA, OFFERED)[1] is False
    assert wanted_files(farm, replace(ADA, name="mate"), [FILE]) == []
    assert [each.digest for each in wanted_files(farm, EVE, [FILE])] == [FILE.digest]
    with pytest.raises(MissingFiles):
        add_model(farm, EVE, OFFERED)
    send(farm, EVE)
    assert add_model(farm, EVE, OFFERED)[0].project == "games"


def test_what_the_store_has_lost_is_wanted_again(farm: Farm) -> None:
    send(farm, ADA)
    farm.store.remove([FILE.digest])
    assert [each.digest for each in wanted_files(farm, ADA, [FILE])] == [FILE.digest]


def test_a_file_that_is_sent_is_collected_by_nobody(farm: Farm) -> None:
    send(farm, ADA)
    assert farm.repository.gc.unreferenced([FILE.digest]) == []


@pytest.mark.slow
def test_files_that_are_sent_at_once_are_not_in_each_others_way(farm: Farm) -> None:
    contents = [b"BLENDER %d" % number for number in range(200)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda content: send(farm, ADA, content), contents))
    assert len(list(farm.store.blobs())) == len(contents)


@pytest.mark.services
def test_a_file_goes_straight_to_the_store_where_that_can_be_reached(tmp_path: Path, on_services: Settings) -> None:
    direct = make_farm(tmp_path, settings=replace(on_services, serve=ServeSettings(direct=True)))
    (wanted,) = wanted_files(direct, ADA, [FILE])
    with pytest.raises(NotStored):
        promote(direct, ADA, FILE.digest, FILE.size)
    with urllib.request.urlopen(urllib.request.Request(wanted.url or "", SCENE, method="PUT")) as answer:
        assert answer.status == 200
    with pytest.raises(NotStored):
        promote(direct, EVE, FILE.digest, FILE.size)
    promote(direct, ADA, FILE.digest, FILE.size)
    assert add_model(direct, ADA, OFFERED)[1]
    close(direct)


def test_the_farm_is_measured(farm: Farm) -> None:
    given_job(farm, "1-3")
    given_worker(farm)
    found = metrics(farm, ACTOR)
    assert (found.tasks, found.jobs, found.workers) == ({"queued": 3}, {"queued": 1}, {"active": 1})
    assert (found.queue_depth, found.slots) == (1, 1)
    assert found.waiting_s >= 0
    with pytest.raises(NotAllowed):
        metrics(farm, ADA)


def test_changes_are_told_from_the_database_of_either_side(farm: Farm) -> None:
    changes = ChangeFeed(farm)
    assert changes.look() == []
    job = given_job(farm, "4-5")
    assert [(each.kind, each.told["id"]) for each in changes.look()] == [("job", job.id)]
    work_off(farm)
    told = changes.look()
    assert [each.told["frame"] for each in told if each.kind == "output"] == [4, 5]
    assert [each.told["state"] for each in told if each.kind == "job"] == ["succeeded"]
    assert changes.look() == []
