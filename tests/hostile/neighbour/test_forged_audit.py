"""Rows that somebody writes into the table of the audit log past renderctl, where the chain does not reach."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from renderctl.farm import Farm
from renderctl.repository.schema.audit import audits
from tests.databases import farm_on
from tests.fakes import FakeClock
from tests.farms import ACTOR, close, given_job


@pytest.fixture
def farm(database_url: str, tmp_path: Path, clock: FakeClock) -> Iterator[Farm]:
    made = farm_on(database_url, tmp_path, clock)
    given_job(made, "1")
    yield made
    close(made)


def forge(farm: Farm, **values: Any) -> None:
    """Write what looks like a deed of bob's."""
    row = {"at": farm.clock.now(), "actor": "bob", "kind": "user", "via": "token", "action": "job.remove"}
    row |= {"subject": "1m80000000000", "outcome": "done", "details": {}}
    with farm.repository.database.engine.begin() as connection:
        connection.execute(audits.insert(), row | values)


@pytest.mark.parametrize("seq", [0, -1, -(1 << 40)])
def test_a_row_with_a_number_below_the_chain_is_told(farm: Farm, seq: int) -> None:
    assert farm.repository.audit_chain.verify().problems == []
    forge(farm, seq=seq)
    assert [problem.seq for problem in farm.repository.audit_chain.verify().problems] == [None]


def test_a_row_below_the_cut_of_what_was_forgotten_is_told(farm: Farm, clock: FakeClock) -> None:
    clock.advance(seconds=86_400 * 8)
    assert farm.repository.audit.delete_older_than(7, actor=ACTOR) > 0
    assert farm.repository.audit_chain.verify().problems == []
    forge(farm, seq=1)
    assert farm.repository.audit_chain.verify().problems


def test_a_row_with_an_id_before_the_first_entry_and_no_place_is_told(farm: Farm) -> None:
    forge(farm, id=-5, seq=None)
    assert [problem.seq for problem in farm.repository.audit_chain.verify().problems] == [None]
