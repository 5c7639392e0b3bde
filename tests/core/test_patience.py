"""Who waits bears with what is out of reach for a while, and not for ever."""

import pytest

from renderctl.core.errors import DatabaseUnavailable, NotFound
from renderctl.core.outages import OutageGrace


def fail(patience: OutageGrace) -> None:
    with patience.bearing():
        raise DatabaseUnavailable("The database is away.")


def test_what_is_out_of_reach_is_borne_with_until_it_has_been_so_for_too_long(clock, caplog):
    patience = OutageGrace(clock, 60.0)
    fail(patience)
    clock.advance(seconds=59.0)
    fail(patience)
    clock.advance(seconds=1.0)
    with pytest.raises(DatabaseUnavailable):
        fail(patience)
    assert caplog.messages == ["The database is away. We wait until it is back."]


def test_patience_begins_anew_after_an_answer(clock, caplog):
    patience = OutageGrace(clock, 60.0)
    fail(patience)
    clock.advance(seconds=59.0)
    with patience.bearing():
        pass
    clock.advance(seconds=59.0)
    fail(patience)
    clock.advance(seconds=59.0)
    fail(patience)
    assert caplog.messages[1] == "It is back after 59 s."


def test_what_is_no_outage_is_raised_at_once(clock):
    with pytest.raises(NotFound), OutageGrace(clock).bearing():
        raise NotFound
