"""Whoever has a stolen password logs in all the time: one of these log-ins is under way when its owner acts."""

from collections.abc import Callable
from typing import Any

import pytest

from renderctl.core.actors import Role
from renderctl.core.errors import LoginRefused
from renderctl.farm import Farm
from renderctl.farm.people.sessions import log_in
from renderctl.farm.people.users import add_user, set_password
from tests.farms import with_parts
from tests.hostile.passerby.test_second_factor import ADA, HOME, PASSWORD, ROOT, enrolled, farm

__all__ = ["farm"]
pytestmark = pytest.mark.slow


class _Meanwhile:
    """The sessions, and what happens in the moment in which a log-in has passed all checks."""

    def __init__(self, sessions: Any, act: Callable[[], object]) -> None:
        self._sessions, self._act = sessions, act

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sessions, name)

    def open(self, *arguments: Any, **named: Any) -> Any:
        self._act()
        return self._sessions.open(*arguments, **named)


@pytest.mark.parametrize("owner", ["changes the password", "sets up a second factor"])
def test_a_log_in_that_is_under_way_ends_with_all_others(farm: Farm, owner: str) -> None:
    def act() -> None:
        if owner == "changes the password":
            set_password(farm, ADA, "ada", "another horse battery", old=PASSWORD)
        else:
            enrolled(farm)

    late = with_parts(farm, sessions=_Meanwhile(farm.repository.sessions, act))
    with pytest.raises(LoginRefused):
        log_in(late, "ada", PASSWORD, address="203.0.113.66")
    assert farm.repository.sessions.all(user="ada") == []


def test_others_change_theirs_without_harm(farm: Farm) -> None:
    add_user(farm, ROOT, "bob", Role.ARTIST, password=PASSWORD)
    others = _Meanwhile(farm.repository.sessions, lambda: set_password(farm, ROOT, "bob", "another horse battery"))
    assert log_in(with_parts(farm, sessions=others), "ada", PASSWORD, address=HOME).actor.name == "ada"
