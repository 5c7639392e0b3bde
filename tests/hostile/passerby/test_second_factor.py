"""A password that somebody else has come to know: with a second factor it lets nobody in."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pyotp
import pytest

from renderctl.core.actors import Actor, Role, Via
from renderctl.core.audit import AuditFilter
from renderctl.core.errors import CodeNeeded, Conflict, LoginRefused, NotAllowed, TokenRefused, TooManyGuesses
from renderctl.farm import Farm
from renderctl.farm.people.authentication import Authentication
from renderctl.farm.people.sessions import LoggedIn, Proof, list_sessions, log_in
from renderctl.farm.people.tokens import create_token
from renderctl.farm.people.totp import (
    RecoveryCodes,
    confirm_totp,
    disable_totp,
    enroll_totp,
    totp_status,
)
from renderctl.farm.people.users import add_user
from renderctl.repository.schema.people import recovery_codes
from tests.databases import farm_on
from tests.fakes import FakeClock
from tests.farms import ACTOR, close
from tests.server.conftest import Served, served

__all__ = ["served"]
pytestmark = pytest.mark.slow  # many attempts
PASSWORD, HOME = "correct horse battery", "192.0.2.7"
ROOT = replace(ACTOR, name="root")
ADA = Actor("ada", role=Role.ADMIN, via=Via.SESSION, address=HOME)


@pytest.fixture
def farm(database_url: str, tmp_path: Path, clock: FakeClock) -> Iterator[Farm]:
    made = farm_on(database_url, tmp_path, clock)
    add_user(made, ROOT, "ada", Role.ADMIN, password=PASSWORD)
    yield made
    close(made)


def enrolled(farm: Farm, actor: Actor = ADA) -> tuple[pyotp.TOTP, RecoveryCodes]:
    """What ada's app makes codes of; one was shown, and half a minute has passed."""
    enrollment = enroll_totp(farm, actor, "ada", password=PASSWORD)
    app = pyotp.TOTP(enrollment.secret)
    codes = confirm_totp(farm, actor, "ada", app.at(farm.clock.now()))
    assert isinstance(farm.clock, FakeClock)
    farm.clock.advance(seconds=30)
    return app, codes


def log_in_with(farm: Farm, code: str | None, address: str = HOME) -> LoggedIn:
    return log_in(farm, "ada", PASSWORD, address=address, proof=Proof(code=code))


def test_the_password_alone_lets_nobody_in_and_a_code_does_once(farm: Farm) -> None:
    app, _ = enrolled(farm)
    with pytest.raises(CodeNeeded):
        log_in_with(farm, None)
    code = app.at(farm.clock.now())
    assert log_in_with(farm, code).actor.name == "ada"
    with pytest.raises(LoginRefused, match="used before"):
        log_in_with(farm, code)
    assert farm.repository.second_factors.get("ada").last_step == app.timecode(farm.clock.now())  # type: ignore[union-attr]


def test_every_way_in_asks_for_the_code(served: Served) -> None:
    app, codes = enrolled(served.farm)
    by_json = {"/session": "name", "/tokens/by-password": "user"}
    for path, key in by_json.items():
        body = {key: "ada", "password": PASSWORD} | ({"name": "laptop"} if key == "user" else {})
        answer = served.client.post(f"/api/v1{path}", json=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "code_needed")
        code = app.at(served.farm.clock.now()) if key == "name" else codes.codes[0]
        assert served.client.post(f"/api/v1{path}", json=body | {"otp": code}).status_code == 201
    form = {"name": "ada", "password": PASSWORD, "otp": ""}
    assert served.client.post("/login", data=form, follow_redirects=False).status_code == 401
    form["otp"] = codes.codes[1]
    assert served.client.post("/login", data=form, follow_redirects=False).status_code == 303


def test_the_code_that_was_shown_to_set_it_up_lets_nobody_in(farm: Farm) -> None:
    enrollment = enroll_totp(farm, ADA, "ada", password=PASSWORD)
    code = pyotp.TOTP(enrollment.secret).at(farm.clock.now())
    confirm_totp(farm, ADA, "ada", code)
    with pytest.raises(LoginRefused):
        log_in_with(farm, code)


def test_whoever_came_in_without_a_code_is_out_when_one_is_needed(farm: Farm) -> None:
    thief, own = (log_in_with(farm, None) for _ in range(2))
    enrolled(farm, actor=own.actor)
    assert Authentication(farm).actor_of_session(own.secret, address=HOME)[0].name == "ada"
    with pytest.raises(TokenRefused):
        Authentication(farm).actor_of_session(thief.secret, address=HOME)


def test_a_clock_that_is_half_a_minute_off_is_borne_with_and_no_more(farm: Farm) -> None:
    app, _ = enrolled(farm)
    now = farm.clock.now()
    for wrong in (-60, 60):
        with pytest.raises(LoginRefused):
            log_in_with(farm, app.at(now + timedelta(seconds=wrong)))
    assert log_in_with(farm, app.at(now + timedelta(seconds=30)))
    with pytest.raises(LoginRefused):
        log_in_with(farm, app.at(now))  # an older one than that which was used


def test_whoever_has_the_password_guesses_at_no_code_for_long(farm: Farm) -> None:
    enrolled(farm)
    outcomes = []
    for number in range(16):
        for code in (None, f"{number:06}"):  # the password is right each time, which forgives nothing
            try:
                log_in_with(farm, code, address=f"203.0.113.{number}")
            except (LoginRefused, TooManyGuesses) as error:
                outcomes.append(error.code)
    assert outcomes.count("login_refused") <= 10
    assert outcomes[-1] == "too_many_guesses"
    told = farm.repository.audit.newest(entry_filter=AuditFilter(action="session.open", refused=True))
    assert {entry.details["why"] for entry in told} == {"the code of the second factor is wrong"}


def test_who_has_to_wait_is_let_in_by_password_then_code_once_the_wait_is_over(farm: Farm) -> None:
    app, _ = enrolled(farm)
    for _ in range(5):
        with pytest.raises(LoginRefused, match="wrong"):
            log_in_with(farm, "000000")
    with pytest.raises(TooManyGuesses):
        log_in_with(farm, None)
    assert isinstance(farm.clock, FakeClock)
    farm.clock.advance(seconds=30)
    with pytest.raises(CodeNeeded):  # a command line learns by this that a code is to be asked for
        log_in_with(farm, None)
    assert log_in_with(farm, app.at(farm.clock.now())).actor.name == "ada"


def test_a_recovery_code_lets_in_once_however_it_is_written(farm: Farm) -> None:
    _, codes = enrolled(farm)
    assert (len(codes.codes), len(set(codes.codes))) == (10, 10)
    assert log_in_with(farm, codes.codes[0].upper().replace("-", " "))
    with pytest.raises(LoginRefused):
        log_in_with(farm, codes.codes[0])
    assert totp_status(farm, ADA, "ada").recovery_codes == 9
    (entry,) = farm.repository.audit.newest(entry_filter=AuditFilter(action="totp.recover"))
    assert entry.details == {"left": 9}


def test_neither_secrets_nor_codes_are_told_or_shown_again(farm: Farm) -> None:
    enrollment = enroll_totp(farm, ADA, "ada", password=PASSWORD)
    code = pyotp.TOTP(enrollment.secret).at(farm.clock.now())
    codes = confirm_totp(farm, ADA, "ada", code)
    with farm.repository.database.engine.connect() as connection:
        kept = str(connection.execute(recovery_codes.select()).all())
    told = (
        str(farm.repository.audit.newest())
        + repr(enrollment)
        + repr(codes)
        + repr(farm.repository.second_factors.get("ada"))
    )
    assert not any(item in told + kept for item in (*codes.codes, codes.codes[0].replace("-", "")))
    assert enrollment.secret not in told
    assert enrollment.uri == f"otpauth://totp/renderctl:ada?secret={enrollment.secret}&issuer=renderctl"


def test_a_session_that_somebody_took_over_sets_up_and_takes_away_nothing(farm: Farm) -> None:
    for password in (None, "wrong"):
        with pytest.raises(LoginRefused):
            enroll_totp(farm, ADA, "ada", password=password)
    enrolled(farm)
    with pytest.raises(LoginRefused):
        disable_totp(farm, ADA, "ada", password="wrong")
    with pytest.raises(Conflict, match="already"):
        enroll_totp(farm, ADA, "ada", password=PASSWORD)
    assert disable_totp(farm, ADA, "ada", password=PASSWORD).confirmed_at is None
    assert log_in_with(farm, None)


def test_a_secret_that_nobody_confirms_counts_for_nothing_and_is_not_guessed(farm: Farm, clock: FakeClock) -> None:
    enrollment = enroll_totp(farm, ADA, "ada", password=PASSWORD)
    assert log_in_with(farm, None)
    for _ in range(5):
        with pytest.raises(LoginRefused):
            confirm_totp(farm, ADA, "ada", "000000")
    with pytest.raises(TooManyGuesses):
        confirm_totp(farm, ADA, "ada", pyotp.TOTP(enrollment.secret).at(clock.now()))
    clock.advance(seconds=16 * 60)
    with pytest.raises(Conflict):
        confirm_totp(farm, ADA, "ada", pyotp.TOTP(enrollment.secret).at(clock.now()))


def test_an_admin_takes_anothers_away_and_sets_up_none_for_them(farm: Farm) -> None:
    enrolled(farm)
    grace, mona = replace(ADA, name="grace"), replace(ADA, name="mona", role=Role.OPERATOR)
    for step in (
        lambda: enroll_totp(farm, grace, "ada", password=PASSWORD),
        lambda: confirm_totp(farm, grace, "ada", "000000"),
        lambda: disable_totp(farm, mona, "ada"),
        lambda: totp_status(farm, mona, "ada"),
    ):
        with pytest.raises(NotAllowed):
            step()
    assert disable_totp(farm, grace, "ada").confirmed_at is None
    (entry,) = farm.repository.audit.newest(entry_filter=AuditFilter(action="totp.disable", refused=False), limit=1)
    assert (entry.actor, entry.subject) == ("grace", "ada")
    enrolled(farm, actor=ROOT)  # whoever holds the parts of the farm may


def test_an_admin_without_one_is_an_operator_where_admins_need_one(farm: Farm) -> None:
    strict = replace(
        farm, settings=replace(farm.settings, serve=replace(farm.settings.serve, require_totp_for_admins=True))
    )
    session = log_in(strict, "ada", PASSWORD, address=HOME)
    token = create_token(farm, ROOT, "ci", user="ada").secret
    assert session.actor.role is Role.OPERATOR
    assert Authentication(strict).actor_of_token(token, address=HOME).role is Role.OPERATOR
    enrolled(strict, actor=session.actor)
    assert Authentication(strict).actor_of_token(token, address=HOME).role is Role.ADMIN
    assert Authentication(farm).actor_of_token(token, address=HOME).role is Role.ADMIN


def test_a_browser_that_nobody_uses_is_logged_out(farm: Farm, clock: FakeClock) -> None:
    authentication = Authentication(farm)
    used, left = (log_in_with(farm, None).secret for _ in range(2))
    for _ in range(3):
        clock.advance(seconds=11 * 3600)
        assert authentication.actor_of_session(used, address=HOME)[0].name == "ada"
        authentication.last_used.write()
    with pytest.raises(TokenRefused):
        authentication.actor_of_session(left, address=HOME)
    assert len(list_sessions(farm, ROOT)) == 1
    clock.advance(seconds=13 * 3600)
    with pytest.raises(TokenRefused):
        authentication.actor_of_session(used, address=HOME)
