"""A worker's id is its node's, across restarts, and no two nodes fight for one."""

import threading
from pathlib import Path

import pytest

from renderctl.core.errors import WorkerNameTaken
from renderctl.core.states import WorkerState
from renderctl.core.workers import Heartbeat
from renderctl.farm import Farm
from renderctl.farm.node_id import give_up_number, host_name, node_number
from renderctl.farm.worker import WorkOptions, worker_for
from tests.fakes import FakeClock
from tests.farms import ACTOR, close, given_worker, make_farm, wait_for


def name_of_a_start(farm: Farm) -> str:
    worker = worker_for(farm, ACTOR, WorkOptions())
    worker.leave()
    return worker.id


def test_a_worker_has_the_same_id_at_each_start(farm: Farm) -> None:
    first = name_of_a_start(farm)
    assert name_of_a_start(farm) == first
    assert first.startswith(f"{host_name()}-")


def test_two_workers_of_one_node_have_two_ids(farm: Farm) -> None:
    first, second = (worker_for(farm, ACTOR, WorkOptions()) for _ in range(2))
    assert first.id != second.id
    first.leave()
    second.leave()


def test_two_nodes_with_the_same_host_name_have_two_ids(tmp_path: Path) -> None:
    nodes = [make_farm(tmp_path / name) for name in ("one", "two")]
    assert len({name_of_a_start(node) for node in nodes}) == 2
    for node in nodes:
        close(node)


def test_a_node_that_gave_its_number_up_gets_another_one(farm: Farm) -> None:
    first = node_number(farm)
    assert node_number(farm) == first
    give_up_number(farm)
    assert node_number(farm) != first


def test_a_name_that_another_node_works_under_is_refused_until_that_one_is_gone(quiet: Farm, clock: FakeClock) -> None:
    given_worker(quiet, "w1", node="a", host="attic")
    with pytest.raises(WorkerNameTaken, match="called 'w1' is at work on attic already"):
        given_worker(quiet, "w1", start="2", node="b")
    clock.advance(seconds=quiet.settings.worker.heartbeat_limit + 0.1)
    given_worker(quiet, "w1", start="2", node="b")
    assert quiet.repository.workers.heartbeat(Heartbeat("w1", "1")).superseded


def test_a_worker_takes_over_at_once_from_an_earlier_start_on_its_own_node(quiet: Farm) -> None:
    given_worker(quiet, "w1", node="a")
    given_worker(quiet, "w1", start="2", node="a")
    assert not quiet.repository.workers.heartbeat(Heartbeat("w1", "2")).superseded


def test_a_copy_of_a_machine_supersedes_the_original_once_and_they_part(farm: Farm) -> None:
    """The original ends, and has a name of its own when it is started again."""
    number = node_number(farm)

    def start_a_copy() -> None:
        wait_for(farm, lambda: farm.repository.workers.all())
        given_worker(farm, "w1", start="on the copy", node=number)

    copy = threading.Thread(target=start_a_copy)
    copy.start()
    with pytest.raises(WorkerNameTaken, match="one of the two may be a copy"):
        worker_for(farm, ACTOR, WorkOptions(name="w1")).run()
    copy.join()
    (survivor,) = farm.repository.workers.all()
    assert (survivor.incarnation, survivor.state) == ("on the copy", WorkerState.ACTIVE)
    assert node_number(farm) != number
