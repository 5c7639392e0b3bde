"""Wrong passwords at somebody's name, from many addresses, so that they themselves are let in no more."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from renderctl.core.actors import Role
from renderctl.core.errors import LoginRefused, TooManyGuesses
from renderctl.farm import Farm
from renderctl.farm.people.addresses import sender
from renderctl.farm.people.sessions import Proof, log_in
from renderctl.farm.people.users import add_user, set_password
from tests.databases import farm_on
from tests.fakes import FakeClock
from tests.farms import ACTOR, close

pytestmark = pytest.mark.slow  # many attempts
PASSWORD, HOME, CAFE = "correct horse battery", "192.0.2.7", "198.51.100.20"
BROWSER, NOTHING = Proof(keeps_device=True), Proof()


@pytest.fixture
def farm(database_url: str, tmp_path: Path, clock: FakeClock) -> Iterator[Farm]:
    made = farm_on(database_url, tmp_path, clock)
    add_user(made, ACTOR, "ada", Role.ADMIN, password=PASSWORD)
    yield made
    close(made)


def guess(farm: Farm, address: str, name: str = "ada", proof: Proof = NOTHING) -> str:
    try:
        log_in(farm, name, "wrong-password", address=address, proof=proof)
    except (LoginRefused, TooManyGuesses) as error:
        return error.code
    raise AssertionError("a wrong password is right")


def besiege(farm: Farm) -> None:
    """Guess at ada's password from everywhere, until strangers have to wait."""
    codes = [guess(farm, f"203.0.113.{number // 4}") for number in range(24)]
    assert codes[-1] == "too_many_guesses"


def test_a_user_is_let_in_from_where_they_were_before(farm: Farm) -> None:
    log_in(farm, "ada", PASSWORD, address=HOME)
    besiege(farm)
    assert log_in(farm, "ada", PASSWORD, address=HOME).actor.name == "ada"
    with pytest.raises(TooManyGuesses):
        log_in(farm, "ada", PASSWORD, address=CAFE)


def test_a_browser_in_which_they_logged_in_lets_them_in_from_anywhere(farm: Farm) -> None:
    device = log_in(farm, "ada", PASSWORD, address=HOME, proof=BROWSER).device
    besiege(farm)
    for _ in range(60):
        guess(farm, CAFE, name="somebody")  # from the same place as she comes from now
        guess(farm, CAFE)
    again = log_in(farm, "ada", PASSWORD, address=CAFE, proof=Proof(device=device, keeps_device=True))
    assert again.device == device


def test_neighbours_in_a_network_lock_nobody_out_who_was_there_before(farm: Farm) -> None:
    log_in(farm, "ada", PASSWORD, address=HOME)
    codes = [guess(farm, HOME, name=f"user-{number}") for number in range(60)]
    assert codes[-1] == "too_many_guesses"
    assert log_in(farm, "ada", PASSWORD, address=HOME).actor.name == "ada"


def test_whoever_stole_the_cookie_waits_as_well(farm: Farm) -> None:
    device = log_in(farm, "ada", PASSWORD, address=HOME, proof=BROWSER).device
    codes = [guess(farm, f"203.0.113.{number}", proof=Proof(device=device)) for number in range(12)]
    assert codes[-1] == "too_many_guesses"
    assert log_in(farm, "ada", PASSWORD, address=HOME).actor.name == "ada"


def test_a_cookie_that_nobody_was_given_spares_nobody_and_is_not_taken_over(farm: Farm) -> None:
    made_up = Proof(device="made-up", keeps_device=True)
    assert log_in(farm, "ada", PASSWORD, address=HOME, proof=made_up).device != "made-up"
    codes = [guess(farm, f"203.0.113.{number // 4}", proof=made_up) for number in range(24)]
    assert codes[-1] == "too_many_guesses"


def test_a_cookie_of_one_user_spares_no_other_until_they_logged_in_there(farm: Farm) -> None:
    add_user(farm, ACTOR, "bob", Role.ARTIST, password=PASSWORD)
    device = log_in(farm, "bob", PASSWORD, address=HOME, proof=BROWSER).device
    codes = [guess(farm, f"203.0.113.{number // 4}", proof=Proof(device=device)) for number in range(24)]
    assert codes[-1] == "too_many_guesses"


def test_who_was_let_in_long_ago_is_a_stranger(farm: Farm, clock: FakeClock) -> None:
    log_in(farm, "ada", PASSWORD, address=HOME)
    clock.advance(seconds=91 * 86_400)
    besiege(farm)
    with pytest.raises(TooManyGuesses):
        log_in(farm, "ada", PASSWORD, address=HOME)


def test_an_admin_who_sets_a_password_has_every_browser_forgotten(farm: Farm) -> None:
    log_in(farm, "ada", PASSWORD, address=HOME)
    set_password(farm, replace(ACTOR, name="root"), "ada", PASSWORD)
    besiege(farm)
    with pytest.raises(TooManyGuesses):
        log_in(farm, "ada", PASSWORD, address=HOME)


def test_a_sender_is_one_whatever_address_of_their_network_they_take(farm: Farm) -> None:
    codes = [guess(farm, f"2001:db8::{number:x}", name=f"user-{number}") for number in range(52)]
    assert codes[-1] == "too_many_guesses"
    assert guess(farm, "2001:db8:0:1::1", name="mona") == "login_refused"


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("::FFFF:c000:0207", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("testclient", "testclient"),
        (None, "None"),
    ],
)
def test_what_an_address_counts_as(address: str | None, counted: str) -> None:
    assert sender(address) == counted
