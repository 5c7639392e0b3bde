"""Finished frames gather before they are published, and nobody waits for that at the end."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pytest
from sqlalchemy import Connection, event

from renderctl.farm import Farm
from renderctl.farm.worker.pipeline import Pipeline
from tests.fakes import FakeClock
from tests.farms import given_job, work_off


@dataclass
class Batches:
    """What a pipeline has handed over, batch by batch; it does not go on before it is let."""

    done: list[list[int]] = field(default_factory=list)
    begun: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    let: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def take(self, items: Sequence[int]) -> None:
        self.done.append(list(items))
        self.begun.release()
        self.let.acquire()


@pytest.fixture
def batches() -> Batches:
    return Batches()


@pytest.fixture
def pipeline(batches: Batches, clock: FakeClock) -> Iterator[Pipeline[int]]:
    """One whose first item is being worked on."""
    pipeline: Pipeline[int] = Pipeline(batches.take, clock)
    pipeline.put(1, 4)
    batches.begun.acquire()
    yield pipeline
    batches.let.release(10)
    pipeline.close()


def test_the_first_waits_for_no_other(batches: Batches, pipeline: Pipeline[int]) -> None:
    assert batches.done == [[1]]


def test_a_flush_gathers_no_more_and_waits_for_what_was_handed_over(batches: Batches, pipeline: Pipeline[int]) -> None:
    pipeline.put(2, 4)
    flushing = threading.Thread(target=pipeline.flush)
    flushing.start()
    batches.let.release()
    batches.begun.acquire()  # the clock stands still: nothing is due
    assert flushing.is_alive()
    batches.let.release()
    flushing.join(10)
    assert not flushing.is_alive()
    assert batches.done == [[1], [2]]


def test_what_comes_in_between_is_done_together(batches: Batches, pipeline: Pipeline[int]) -> None:
    for item in (2, 3, 4, 5):
        pipeline.put(item, 4)  # then it is full
    batches.let.release()
    batches.begun.acquire()
    assert batches.done == [[1], [2, 3, 4, 5]]


def test_what_may_not_wait_for_others_does_not(batches: Batches, pipeline: Pipeline[int]) -> None:
    batches.let.release()
    pipeline.put(2, 1)
    batches.begun.acquire()
    assert batches.done == [[1], [2]]


def test_the_end_waits_for_nothing_to_gather(batches: Batches, pipeline: Pipeline[int]) -> None:
    pipeline.put(2, 4)
    batches.let.release(10)
    pipeline.close()
    assert batches.done == [[1], [2]]


def test_short_frames_share_their_transactions(farm: Farm) -> None:
    writes = 0

    def begun(connection: Connection) -> None:
        nonlocal writes
        writes += not connection.get_execution_options().get("reads")

    given_job(farm, "1-200")
    event.listen(farm.repository.database.engine, "begin", begun)
    work_off(farm, idle_exit_s=0.0)
    assert writes < 200 / 5
