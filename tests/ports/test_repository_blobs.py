"""What the repository knows about blobs, on every database: which are needed, and which are leased."""

import hashlib
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, select

from renderctl.core.attempts import Cost
from renderctl.core.frames import FrameSet
from renderctl.core.jobs import Input, NewJob, Output, RenderOptions
from renderctl.core.new_model import NewModel
from renderctl.farm import Farm
from renderctl.repository.database.unit_of_work import db_now
from renderctl.repository.schema.jobs import blob_leases
from tests.databases import farm_on
from tests.farms import ACTOR, FACTS, close, given_job, given_worker, wait_for


@pytest.fixture
def farm(database_url: str, tmp_path: Path) -> Iterator[Farm]:
    made = farm_on(database_url, tmp_path / "farm")
    yield made
    close(made)


def digest(name: object) -> str:
    return hashlib.sha256(str(name).encode()).hexdigest()


def leased_for(farm: Farm) -> dict[str, timedelta]:
    def reading(connection: Connection) -> dict[str, timedelta]:
        now = db_now(connection)
        return {row.digest: row.until - now for row in connection.execute(select(blob_leases))}

    found: dict[str, timedelta] = farm.repository.database.read(reading)
    return found


def test_what_nothing_needs_is_unknown(farm: Farm) -> None:
    assert farm.repository.blobs.unknown([digest(1), digest(2)]) == {digest(1), digest(2)}
    assert farm.repository.blobs.unknown([]) == set()


def test_the_inputs_of_models_and_of_jobs_and_outputs_are_known(farm: Farm) -> None:
    inputs = (Input("a.blend", digest("model"), 1),)
    model, _ = farm.repository.models.add(NewModel("a", "a.blend", "0" * 64, FACTS, inputs), actor=ACTOR)
    new = NewJob(
        "a", model.id, RenderOptions(), FrameSet.parse("1"), inputs=(Input("_inputs/1/b.obj", digest("job"), 1),)
    )
    job, _ = farm.repository.jobs.add(new, actor=ACTOR)
    (attempt,) = farm.repository.attempts.claim(job.id, given_worker(farm)).attempts
    farm.repository.attempts.start(attempt)
    farm.repository.attempts.complete(attempt, [Output("0001.png", digest("output"), 1)], Cost())
    asked = [digest(item) for item in ("model", "job", "output", "new")]
    assert farm.repository.blobs.unknown(asked) == {digest("new")}


def test_whoever_asks_holds_a_lease_for_a_day_and_asking_again_makes_it_last(farm: Farm) -> None:
    farm.repository.blobs.unknown([digest(1)])
    farm.repository.database.write(
        lambda connection: connection.execute(
            blob_leases.update().values(until=db_now(connection) + timedelta(minutes=1))
        )
    )
    farm.repository.blobs.unknown([digest(1), digest(2)])
    leases = leased_for(farm)
    assert set(leases) == {digest(1), digest(2)}
    assert all(timedelta(hours=23, minutes=59) < lease <= timedelta(hours=24) for lease in leases.values())


def test_thousands_are_asked_for_at_once(farm: Farm) -> None:
    job = given_job(farm)
    known = {item.digest for item in farm.repository.models.inputs(job.model_id)}
    asked = {digest(number) for number in range(2500)}
    assert farm.repository.blobs.unknown(asked | known) == asked
    assert len(leased_for(farm)) == 2501


def test_whoever_asks_waits_for_a_collection_that_is_going_on_and_sees_what_it_did(farm: Farm) -> None:
    """The collector has a row of its own for the blob until it is done, and nobody's question goes past it."""
    collecting, collected = threading.Event(), threading.Event()
    order: list[str] = []

    def collect(connection: Connection) -> None:
        row = {"digest": digest(1), "until": db_now(connection)}
        connection.execute(blob_leases.insert(), row)
        collecting.set()
        collected.wait(0.5)  # the asker does not come by, however long this takes
        order.append("collected")
        connection.execute(blob_leases.delete().where(blob_leases.c.digest == digest(1)))

    def ask() -> None:
        collecting.wait(10)
        farm.repository.blobs.unknown([digest(0), digest(1), digest(2)])
        order.append("asked")
        collected.set()

    collector = threading.Thread(target=farm.repository.database.write, args=(collect,))
    asker = threading.Thread(target=ask)
    collector.start()
    asker.start()
    collector.join(30)
    asker.join(30)
    assert order == ["collected", "asked"]
    assert set(leased_for(farm)) == {digest(0), digest(1), digest(2)}


def test_many_who_ask_for_the_same_do_not_block_each_other_for_ever(farm: Farm) -> None:
    asked = [digest(number) for number in range(300)]
    answers: list[set[str]] = []

    def ask(number: int) -> None:
        for turn in range(5):
            mine = asked[(number + turn) % 7 :: 2]
            answers.append(farm.repository.blobs.unknown(mine[:: -1 if number % 2 else 1]) - set(mine))

    askers = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for asker in askers:
        asker.start()
    wait_for(farm, lambda: len(answers) == 40, within_s=60)
    for asker in askers:
        asker.join(10)
    assert answers == [set()] * 40
