"""Outages are tolerated for a limited time."""

import pytest

from renderctl.core.errors import DatabaseUnavailable, NotFound
from renderctl.core.outages import OutageGrace
from tests.fakes import FakeClock


def fail(grace: OutageGrace) -> None:
    with grace.tolerate():
        raise DatabaseUnavailable("The database is away.")


def test_an_outage_is_tolerated_until_the_limit(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    grace = OutageGrace(clock, 60.0)
    fail(grace)
    clock.advance(seconds=59.0)
    fail(grace)
    clock.advance(seconds=1.0)
    with pytest.raises(DatabaseUnavailable):
        fail(grace)
    assert caplog.messages == ["The database is away. Waiting until it is back."]


def test_outages_begins_anew_after_an_answer(clock: FakeClock, caplog: pytest.LogCaptureFixture) -> None:
    grace = OutageGrace(clock, 60.0)
    fail(grace)
    clock.advance(seconds=59.0)
    with grace.tolerate():
        pass
    clock.advance(seconds=59.0)
    fail(grace)
    clock.advance(seconds=59.0)
    fail(grace)
    assert caplog.messages[1] == "It is back after 59 s."


def test_what_is_no_outage_is_raised_at_once(clock: FakeClock) -> None:
    with pytest.raises(NotFound), OutageGrace(clock).tolerate():
        raise NotFound
