"""What a submission asks of the database: at most three transactions, whoever submits and whatever is in it."""

from dataclasses import replace

import pytest
from sqlalchemy import Connection, event

from renderctl.core import frames
from renderctl.core.actors import Actor, Role, Via
from renderctl.core.frames import FrameSet
from renderctl.farm import Farm
from renderctl.farm.jobs.submit import SubmitRequest, submit
from tests.farms import ACTOR, FACTS, SCENE, given_job, given_model

ADA = Actor("ada", "user", Role.ARTIST, frozenset({"default"}), Via.TOKEN)


def begun(farm: Farm) -> list[Connection]:
    """The transactions that begin from now on."""
    transactions: list[Connection] = []
    event.listen(farm.repository.database.engine, "begin", transactions.append)
    return transactions


@pytest.mark.parametrize("actor", [ACTOR, ADA])
def test_a_submission_takes_three_transactions_at_most(farm: Farm, actor: Actor) -> None:
    simulated = replace(FACTS, scenes=(replace(SCENE, unbaked=("Cloth",)),))
    if actor is ADA:
        farm.repository.users.add("ada", Role.ARTIST, ("default",), password=None, actor=ACTOR)
    model = given_model(farm, facts=simulated)
    after = tuple(given_job(farm, "1-3").id for _ in range(3))
    request = SubmitRequest(frames="1-10", after=after)
    transactions = begun(farm)
    done = submit(farm, actor, model, request)
    chaining = farm.repository.database.engine.dialect.name != "sqlite"  # the audit log, in a transaction of its own
    assert len(transactions) - chaining <= 3
    assert farm.repository.jobs.get(done.job.id).notes == done.notes != ()


def test_frames_are_parsed_once(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []
    parse = FrameSet.parse

    def counted(text: str) -> FrameSet:
        parsed.append(text)
        return parse(text)

    model = given_model(farm)
    monkeypatch.setattr(frames.FrameSet, "parse", counted)
    submit(farm, ACTOR, model, SubmitRequest(frames="1-3,7"))
    assert parsed == ["1-3,7"]
