"""Admins who take each other's rights at the same moment: one of them stays."""

import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from renderctl.core.actors import Role
from renderctl.core.errors import Conflict
from renderctl.farm import Farm
from renderctl.farm.people.users import add_user, disable_user, set_role
from tests.databases import farm_on
from tests.farms import ACTOR, close

pytestmark = pytest.mark.slow
_ROUNDS = 40


@pytest.fixture
def farm(database_url: str, tmp_path: Path) -> Iterator[Farm]:
    made = farm_on(database_url, tmp_path)
    yield made
    close(made)


def at_once(*steps: Callable[[], object]) -> list[str]:
    """What became of steps that began at the same moment."""
    outcomes: list[str] = []
    start = threading.Barrier(len(steps))

    def run(step: Callable[[], object]) -> None:
        start.wait()
        try:
            step()
            outcomes.append("done")
        except Conflict:
            outcomes.append("refused")

    threads = [threading.Thread(target=run, args=(step,)) for step in steps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(outcomes)


def test_two_admins_who_demote_or_disable_each_other_at_once_leave_one(farm: Farm) -> None:
    for name in ("grace", "heidi"):
        add_user(farm, ACTOR, name, Role.ADMIN)
    for turn in range(_ROUNDS):
        demote = [partial(set_role, farm, ACTOR, name, Role.ARTIST) for name in ("grace", "heidi")]
        disable = partial(disable_user, farm, ACTOR, "heidi")
        outcomes = at_once(demote[0], disable if turn % 2 else demote[1])
        admins = [user for user in farm.repository.users.all() if user.role is Role.ADMIN and user.disabled_at is None]
        assert (len(admins), outcomes) == (1, ["done", "refused"]), f"in round {turn}"
        for name in ("grace", "heidi"):
            farm.repository.users.enable(name, actor=ACTOR)
            set_role(farm, ACTOR, name, Role.ADMIN)
