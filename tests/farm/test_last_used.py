"""When tokens and sessions were last used: written in batches, and lost by nobody but a process that is killed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from renderctl.core.actors import Role
from renderctl.core.errors import TokenRefused
from renderctl.farm import Farm
from renderctl.farm.people.authentication import Authentication
from renderctl.farm.people.secrets import new_secret, token_digest
from renderctl.farm.people.sessions import SESSION_S, idle_limit_s, list_sessions
from renderctl.farm.people.tokens import create_token, list_tokens
from renderctl.farm.people.users import add_user
from tests.databases import Outage, farm_on, writes
from tests.fakes import FakeClock
from tests.farms import ACTOR, close

HOME = "192.0.2.7"


@pytest.fixture
def farm(database_url: str, tmp_path: Path, clock: FakeClock) -> Iterator[Farm]:
    made = farm_on(database_url, tmp_path, clock)
    yield made
    close(made)


@pytest.fixture
def authentication(farm: Farm) -> Authentication:
    return Authentication(farm)


@pytest.fixture
def token(farm: Farm) -> str:
    add_user(farm, ACTOR, "bob", Role.ARTIST)
    return create_token(farm, ACTOR, "ci", user="bob").secret


@pytest.fixture
def session(farm: Farm, token: str) -> str:
    secret = new_secret()
    farm.repository.sessions.open("bob", token_digest(secret), new_secret(), lasts_s=SESSION_S, address=HOME)
    return secret


def test_a_hundred_uses_are_read_without_a_write_and_then_written_in_one(
    farm: Farm, clock: FakeClock, authentication: Authentication, token: str, session: str
) -> None:
    with writes(farm) as begun:
        for _ in range(50):
            clock.advance(seconds=90)
            authentication.actor_of_token(token, address=HOME)
            authentication.actor_of_session(session, address="192.0.2.8")
        assert len(begun) == 0
        authentication.last_used.write()
        assert len(begun) == 1
        authentication.last_used.write()
        assert len(begun) == 1
    assert list_tokens(farm, ACTOR)[0].used_at == clock.now()
    (seen,) = list_sessions(farm, ACTOR)
    assert (seen.seen_at, seen.seen_from) == (clock.now(), "192.0.2.8")


def test_a_later_use_that_another_server_has_written_stays(
    farm: Farm, clock: FakeClock, authentication: Authentication, token: str, session: str
) -> None:
    authentication.actor_of_token(token, address=HOME)
    authentication.actor_of_session(session, address="192.0.2.8")
    clock.advance(seconds=30)
    other = Authentication(farm)
    other.actor_of_token(token, address=HOME)
    other.actor_of_session(session, address="192.0.2.9")
    other.last_used.write()
    authentication.last_used.write()
    assert list_tokens(farm, ACTOR)[0].used_at == clock.now()
    (seen,) = list_sessions(farm, ACTOR)
    assert (seen.seen_at, seen.seen_from) == (clock.now(), "192.0.2.9")


def test_a_session_that_is_in_use_does_not_end_before_its_use_is_written(
    farm: Farm, clock: FakeClock, authentication: Authentication, session: str
) -> None:
    clock.advance(seconds=idle_limit_s(farm) - 1)
    authentication.actor_of_session(session, address=HOME)
    clock.advance(seconds=2)
    authentication.actor_of_session(session, address=HOME)
    clock.advance(seconds=idle_limit_s(farm))
    with pytest.raises(TokenRefused):
        authentication.actor_of_session(session, address=HOME)


def test_what_the_database_does_not_take_is_written_later_and_at_the_end(
    farm: Farm, clock: FakeClock, authentication: Authentication, token: str
) -> None:
    outage = Outage(farm)
    authentication.actor_of_token(token, address=HOME)
    used_at = clock.now()
    outage.away = True
    authentication.last_used.write()
    assert outage.refused
    outage.away = False
    authentication.stop()
    assert list_tokens(farm, ACTOR)[0].used_at == used_at
