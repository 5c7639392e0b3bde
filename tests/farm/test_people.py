"""Users, tokens, log-ins and invitations: who is let in, and who no longer."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from renderctl.core.actors import Role, Scope, Via
from renderctl.core.audit import AuditFilter
from renderctl.core.errors import (
    Conflict,
    InvitationRefused,
    LoginRefused,
    NotAllowed,
    NotFound,
    TokenRefused,
    TooManyGuesses,
)
from renderctl.farm import Farm
from renderctl.farm.people.authentication import Authentication
from renderctl.farm.people.secrets import token_digest
from renderctl.farm.people.sessions import (
    end_session,
    end_sessions,
    list_sessions,
    log_in,
    log_out,
)
from renderctl.farm.people.tokens import create_token, list_tokens, revoke_token
from renderctl.farm.people.users import (
    add_first_admin,
    add_user,
    disable_user,
    enable_user,
    invite,
    list_invitations,
    list_users,
    register,
    set_password,
    set_role,
    withdraw_invitation,
)
from renderctl.repository.schema.people import tokens, users, web_sessions
from tests.databases import farm_on
from tests.fakes import FakeClock
from tests.farms import ACTOR, close

PASSWORD, HOME = "correct horse battery", "192.0.2.7"


@pytest.fixture
def farm(database_url: str, tmp_path: Path, clock: FakeClock) -> Iterator[Farm]:
    made = farm_on(database_url, tmp_path, clock)
    yield made
    close(made)


def refused(farm: Farm, action: str) -> list[str]:
    found = farm.repository.audit.newest(entry_filter=AuditFilter(action=action, refused=True))
    return [f"{each.actor}: {each.details['why']}" for each in found]


def test_a_token_is_its_user_within_its_scope_until_it_ends(farm: Farm, clock: FakeClock) -> None:
    add_user(farm, ACTOR, "bob", Role.ARTIST)
    made = create_token(farm, ACTOR, "ci", user="bob", scope=Scope.READ, lasts_s=3600)
    assert made.secret.startswith("rctl_")
    bob = Authentication(farm).actor_of_token(made.secret, address=HOME)
    assert (bob.name, bob.role, bob.projects) == ("bob", Role.ARTIST, frozenset(["default"]))
    assert (bob.via, bob.scope, bob.address) == (Via.TOKEN, Scope.READ, HOME)
    set_role(farm, ACTOR, "bob", Role.VIEWER)
    assert Authentication(farm).actor_of_token(made.secret, address=HOME).role is Role.VIEWER
    clock.advance(seconds=3601)
    for _ in range(3):
        with pytest.raises(TokenRefused):
            Authentication(farm).actor_of_token(made.secret, address=HOME)
    assert refused(farm, "token.use") == ["bob: expired"]


def test_a_token_that_was_revoked_or_never_was_lets_nobody_in(farm: Farm) -> None:
    add_user(farm, ACTOR, "bob", Role.ARTIST)
    made = create_token(farm, ACTOR, "ci", user="bob", lasts_s=None)
    revoke_token(farm, ACTOR, made.token.id)
    for secret in (made.secret, "rctl_guessed", ""):
        with pytest.raises(TokenRefused):
            Authentication(farm).actor_of_token(secret, address=HOME)
    assert refused(farm, "token.use") == ["bob: revoked"]


def test_neither_tokens_nor_passwords_are_kept(farm: Farm) -> None:
    add_user(farm, ACTOR, "bob", Role.ARTIST, password=PASSWORD)
    secret = create_token(farm, ACTOR, "ci", user="bob").secret
    session = log_in(farm, "bob", PASSWORD, address=HOME)
    with farm.repository.database.engine.connect() as connection:
        kept = str([connection.execute(table.select()).all() for table in (users, tokens, web_sessions)])
    assert not any(each in kept for each in (PASSWORD, secret, session.secret))
    assert "$argon2id$" in kept
    told = str(farm.repository.audit.newest()) + repr(session)
    assert not any(each in told for each in (PASSWORD, secret, session.secret, session.csrf))


def test_tokens_of_others_are_not_there(farm: Farm) -> None:
    for name in ("bob", "mona"):
        add_user(farm, ACTOR, name, Role.ARTIST)
    made = create_token(farm, ACTOR, "ci", user="bob")
    mona = replace(ACTOR, name="mona", role=Role.ARTIST)
    assert list_tokens(farm, mona) == []
    said = []
    for token_id in (made.token.id, "no-such-token"):
        with pytest.raises(NotFound) as caught:
            revoke_token(farm, mona, token_id)
        said.append((caught.value.message.replace(token_id, "X"), caught.value.hint))
    assert said[0] == said[1]
    with pytest.raises(NotFound):
        create_token(farm, mona, "mine", user="bob")


def test_whoever_is_disabled_is_out_at_once_and_in_again_later(farm: Farm) -> None:
    add_user(farm, ACTOR, "bob", Role.ARTIST, password=PASSWORD)
    secret = create_token(farm, ACTOR, "ci", user="bob").secret
    session = log_in(farm, "bob", PASSWORD, address=HOME)
    disable_user(farm, ACTOR, "bob")
    with pytest.raises(TokenRefused):
        Authentication(farm).actor_of_token(secret, address=HOME)
    with pytest.raises(TokenRefused):
        Authentication(farm).actor_of_session(session.secret, address=HOME)
    with pytest.raises(LoginRefused):
        log_in(farm, "bob", PASSWORD, address=HOME)
    enable_user(farm, ACTOR, "bob")
    assert Authentication(farm).actor_of_token(secret, address=HOME).name == "bob"


def test_a_session_lasts_until_it_is_ended_or_the_password_is_changed(farm: Farm, clock: FakeClock) -> None:
    add_user(farm, ACTOR, "bob", Role.ARTIST, password=PASSWORD)
    first, second, third = (log_in(farm, "bob", PASSWORD, address=HOME) for _ in range(3))
    actor, csrf = Authentication(farm).actor_of_session(first.secret, address=HOME)
    assert (actor.name, actor.via, csrf) == ("bob", Via.SESSION, first.csrf)
    log_out(farm, actor, first.secret)
    with pytest.raises(LoginRefused):
        set_password(farm, actor, "bob", "another password", old="wrong")
    assert Authentication(farm).actor_of_session(second.secret, address=HOME)
    set_password(farm, actor, "bob", "another password", old=PASSWORD)
    for ended in (first, second, third):
        with pytest.raises(TokenRefused):
            Authentication(farm).actor_of_session(ended.secret, address=HOME)
    late = log_in(farm, "bob", "another password", address=HOME)
    clock.advance(seconds=8 * 86_400)
    with pytest.raises(TokenRefused):
        Authentication(farm).actor_of_session(late.secret, address=HOME)


def test_somebody_sees_from_where_he_is_logged_in_and_which_log_in_asks(farm: Farm, clock: FakeClock) -> None:
    add_user(farm, ACTOR, "bob", Role.ARTIST, password=PASSWORD)
    begun = clock.now()
    first = log_in(farm, "bob", PASSWORD, address=HOME)
    clock.advance(seconds=90)
    second = log_in(farm, "bob", PASSWORD, address="198.51.100.1")
    (newest, oldest) = list_sessions(farm, second.actor)
    assert (newest.id, newest.address, newest.seen_at, newest.present) == (
        second.actor.session,
        "198.51.100.1",
        None,
        True,
    )
    assert (oldest.user, oldest.created_at, oldest.address, oldest.present) == ("bob", begun, HOME, False)
    authentication = Authentication(farm)
    for place in ("192.0.2.8", "192.0.2.9"):
        clock.advance(seconds=30)
        actor, _ = authentication.actor_of_session(first.secret, address=place)
    authentication.last_used.write()
    (_, seen) = list_sessions(farm, actor)
    assert (seen.id, seen.present, seen.address) == (actor.session, True, HOME)
    assert (seen.seen_at, seen.seen_from) == (clock.now(), "192.0.2.9")
    told = str(list_sessions(farm, actor))
    kept = [token_digest(each.secret) for each in (first, second)]
    assert not any(each in told for each in (first.secret, second.secret, first.csrf, second.csrf, *kept))
    clock.advance(seconds=8 * 86_400)
    assert list_sessions(farm, ACTOR) == []


def test_somebody_ends_one_of_his_log_ins_and_then_all_but_the_one_that_asks(farm: Farm) -> None:
    add_user(farm, ACTOR, "bob", Role.ARTIST, password=PASSWORD)
    logged_in = [log_in(farm, "bob", PASSWORD, address=HOME) for _ in range(4)]
    sessions, mine = [str(each.actor.session) for each in logged_in], logged_in[0].actor
    assert end_session(farm, mine, sessions[3]).id == sessions[3]
    assert {each.id for each in list_sessions(farm, mine)} == set(sessions[:3])
    with pytest.raises(NotFound):
        end_session(farm, mine, sessions[3])
    assert {each.id for each in end_sessions(farm, mine)} == set(sessions[1:3])
    assert end_sessions(farm, mine) == []
    for ended in logged_in[1:]:
        with pytest.raises(TokenRefused):
            Authentication(farm).actor_of_session(ended.secret, address=HOME)
    assert Authentication(farm).actor_of_session(logged_in[0].secret, address=HOME)[0] == mine
    others, one = farm.repository.audit.newest(entry_filter=AuditFilter(action="session.end"))
    assert [(each.actor, each.subject, each.outcome) for each in (others, one)] == [("bob", "bob", "done")] * 2
    assert (one.details["sessions"], set(others.details["sessions"])) == ([sessions[3]], set(sessions[1:3]))


def test_log_ins_of_others_are_not_there_but_for_an_admin_who_ends_them(farm: Farm) -> None:
    for name in ("bob", "mona"):
        add_user(farm, ACTOR, name, Role.OPERATOR, password=PASSWORD)
    his, hers = (log_in(farm, name, PASSWORD, address=HOME) for name in ("bob", "mona"))
    assert [each.user for each in list_sessions(farm, hers.actor)] == ["mona"]
    assert list_sessions(farm, hers.actor, "bob") == []
    said = []
    for session_id in (str(his.actor.session), "no-such-session"):
        with pytest.raises(NotFound) as caught:
            end_session(farm, hers.actor, session_id)
        said.append((caught.value.message.replace(session_id, "X"), caught.value.hint))
    assert said[0] == said[1]
    for name in ("bob", "nobody"):
        with pytest.raises(NotFound, match=f"no user '{name}'"):
            end_sessions(farm, hers.actor, name)
    assert Authentication(farm).actor_of_session(his.secret, address=HOME)
    assert {each.user for each in list_sessions(farm, ACTOR)} == {"bob", "mona"}
    assert [each.user for each in end_sessions(farm, ACTOR, "bob")] == ["bob"]
    assert end_session(farm, ACTOR, str(hers.actor.session)).user == "mona"
    with pytest.raises(NotFound):
        end_sessions(farm, ACTOR, "nobody")
    assert list_sessions(farm, ACTOR) == []


def test_whoever_guesses_waits_longer_and_longer_even_with_the_right_password(farm: Farm, clock: FakeClock) -> None:
    add_user(farm, ACTOR, "bob", Role.ARTIST, password=PASSWORD)
    for _ in range(5):
        with pytest.raises(LoginRefused):
            log_in(farm, "bob", "wrong", address=HOME)
    with pytest.raises(TooManyGuesses) as caught:
        log_in(farm, "bob", PASSWORD, address=HOME)
    assert caught.value.hint == "Try again in 1 s."
    assert log_in(farm, "bob", PASSWORD, address="198.51.100.1").actor.name == "bob", "elsewhere he is let in"
    clock.advance(seconds=1)
    with pytest.raises(LoginRefused):
        log_in(farm, "bob", "wrong", address=HOME)
    clock.advance(seconds=1)
    with pytest.raises(TooManyGuesses):
        log_in(farm, "bob", PASSWORD, address=HOME)
    clock.advance(seconds=1)
    assert log_in(farm, "bob", PASSWORD, address=HOME)
    assert log_in(farm, "bob", PASSWORD, address=HOME), "nothing is held against him any more"
    assert len(refused(farm, "session.open")) == 6


def test_whoever_guesses_at_the_old_password_in_a_session_waits_like_at_a_log_in(farm: Farm, clock: FakeClock) -> None:
    add_user(farm, ACTOR, "bob", Role.ARTIST, password=PASSWORD)
    thief, elsewhere = (log_in(farm, "bob", PASSWORD, address=each).actor for each in (HOME, "198.51.100.1"))
    for _ in range(5):
        with pytest.raises(LoginRefused, match="old password"):
            set_password(farm, thief, "bob", "another password", old="wrong")
    for old in ("wrong", PASSWORD):
        with pytest.raises(TooManyGuesses):
            set_password(farm, thief, "bob", "another password", old=old)
    with pytest.raises(TooManyGuesses):
        log_in(farm, "bob", PASSWORD, address=HOME)
    told = farm.repository.audit.newest(entry_filter=AuditFilter(refused=True))
    assert {(each.actor, each.action, each.subject, each.address) for each in told} == {
        ("bob", "user.password", "bob", HOME)
    }
    assert refused(farm, "user.password") == ["bob: the old password is wrong"] * 5
    assert set_password(farm, elsewhere, "bob", "another password", old=PASSWORD).name == "bob"


def test_who_sets_the_password_of_another_is_asked_for_none_and_never_waits(farm: Farm) -> None:
    add_user(farm, ACTOR, "bob", Role.ARTIST, password=PASSWORD)
    for _ in range(7):
        assert set_password(farm, replace(ACTOR, via=Via.TOKEN), "bob", "another password").has_password
    assert refused(farm, "user.password") == []


def test_one_address_guesses_no_further_by_changing_the_name(farm: Farm) -> None:
    for number in range(50):
        farm.repository.login_attempts.record({f"user {number}": 20, "from there": 50})
    assert farm.repository.login_attempts.record({"user 51": 20, "from there": 50}) > 0
    assert farm.repository.login_attempts.record({"user 51": 20, "from elsewhere": 50}) == 0


def test_a_user_that_is_not_there_is_refused_like_a_wrong_password(farm: Farm) -> None:
    add_user(farm, ACTOR, "bob", Role.ARTIST, password=PASSWORD)
    said = []
    for name in ("bob", "nobody"):
        with pytest.raises(LoginRefused) as caught:
            log_in(farm, name, "wrong password", address=HOME)
        said.append(str(caught.value))
    assert said[0] == said[1]


def test_an_invitation_makes_one_user_once_and_in_time(farm: Farm, clock: FakeClock) -> None:
    made, late = (invite(farm, ACTOR, Role.OPERATOR, lasts_s=3600) for _ in range(2))
    mona = register(farm, made.code, "mona", PASSWORD, address=HOME)
    assert (mona.name, mona.role, mona.projects) == ("mona", Role.OPERATOR, frozenset(["default"]))
    assert log_in(farm, "mona", PASSWORD, address=HOME).actor.role is Role.OPERATOR
    with pytest.raises(InvitationRefused):
        register(farm, made.code, "eve", PASSWORD, address=HOME)
    with pytest.raises(Conflict):
        register(farm, late.code, "mona", PASSWORD, address=HOME)
    clock.advance(seconds=3601)
    with pytest.raises(InvitationRefused):
        register(farm, late.code, "eve", PASSWORD, address=HOME)
    assert [each.name for each in list_users(farm, ACTOR)] == ["mona"]


def test_open_invitations_are_listed_without_their_codes_and_withdrawn(farm: Farm, clock: FakeClock) -> None:
    used, late, open_one = (invite(farm, ACTOR, Role.OPERATOR, lasts_s=each) for each in (9e3, 3600, 9e3))
    register(farm, used.code, "mona", PASSWORD, address=HOME)
    clock.advance(seconds=3601)
    assert list_invitations(farm, ACTOR) == [open_one.invitation]
    told = open_one.invitation
    assert (told.created_by, told.role, told.projects) == (ACTOR.name, Role.OPERATOR, ("default",))
    assert open_one.code not in repr(told)
    for _ in range(2):
        assert withdraw_invitation(farm, ACTOR, told.id).withdrawn_at is not None
    assert list_invitations(farm, ACTOR) == []
    with pytest.raises(InvitationRefused):
        register(farm, open_one.code, "eve", PASSWORD, address=HOME)
    (entry,) = farm.repository.audit.newest(entry_filter=AuditFilter(action="invitation.withdraw"))
    assert (entry.subject, entry.outcome, entry.details["created_by"]) == (told.id, "done", ACTOR.name)
    with pytest.raises(Conflict, match="used: by mona"):
        withdraw_invitation(farm, ACTOR, used.invitation.id)
    with pytest.raises(NotFound):
        withdraw_invitation(farm, ACTOR, "no-such-thing")
    assert withdraw_invitation(farm, ACTOR, late.invitation.id).used_by is None


def test_who_is_no_admin_neither_sees_nor_withdraws_invitations_and_is_told_nothing_of_them(farm: Farm) -> None:
    made = invite(farm, ACTOR, Role.VIEWER).invitation
    oli = replace(ACTOR, name="oli", role=Role.OPERATOR)
    with pytest.raises(NotAllowed):
        list_invitations(farm, oli)
    said = []
    for invitation_id in (made.id, "no-such-thing"):
        with pytest.raises(NotAllowed) as caught:
            withdraw_invitation(farm, oli, invitation_id)
        said.append(caught.value.message.replace(invitation_id, "X"))
    assert said[0] == said[1]
    assert list_invitations(farm, ACTOR) == [made]


def test_the_first_admin_is_the_first_and_the_last_one_stays(farm: Farm) -> None:
    add_first_admin(farm, ACTOR, "ada", PASSWORD)
    with pytest.raises(Conflict, match="has an admin"):
        add_first_admin(farm, ACTOR, "eve", PASSWORD)
    refused: list[Callable[[], object]] = [
        lambda: set_role(farm, ACTOR, "ada", Role.VIEWER),
        lambda: disable_user(farm, ACTOR, "ada"),
    ]
    for deed in refused:
        with pytest.raises(Conflict, match="last admin"):
            deed()
    add_user(farm, ACTOR, "grace", Role.ADMIN)
    assert set_role(farm, ACTOR, "ada", Role.VIEWER).role is Role.VIEWER
