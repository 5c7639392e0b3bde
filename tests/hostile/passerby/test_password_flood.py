"""Passwords by the hundred: hashing one takes 64 MiB and a core, and whoever asks need not be anybody."""

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import argon2
import pytest

from renderctl.core.actors import Role
from renderctl.core.audit import AuditFilter
from renderctl.core.errors import Busy, InvitationRefused, TooManyGuesses
from renderctl.farm import Farm
from renderctl.farm.people.passwords import KNOWN_GATE, STRANGER_GATE, HashGate, Hashing
from renderctl.farm.people.sessions import log_in
from renderctl.farm.people.users import add_user, invite, register, set_password
from tests.fakes import FakeClock
from tests.farms import ACTOR, close, make_farm
from tests.passwords import QUICK
from tests.server.conftest import Served, served

__all__ = ["served"]
API, PASSWORD = "/api/v1", "correct horse battery"
THERE, ELSEWHERE = "192.0.2.7", "198.51.100.1"


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    made = make_farm(tmp_path / "data")
    yield made
    close(made)


class Argon2:
    """How often argon2 was asked, and how many times at once."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.calls, self.now, self.peak = 0, 0, 0
        self._lock = threading.Lock()
        for name in ("hash", "verify"):
            patch.setattr(argon2.PasswordHasher, name, self._counting(getattr(argon2.PasswordHasher, name)))

    def _counting(self, real: object) -> object:
        def counted(*args: object) -> object:
            with self._lock:
                self.calls, self.now = self.calls + 1, self.now + 1
                self.peak = max(self.peak, self.now)
            try:
                return real(*args)  # type: ignore[operator]
            finally:
                with self._lock:
                    self.now -= 1

        return counted


@pytest.fixture
def hasher(monkeypatch: pytest.MonkeyPatch) -> Argon2:
    return Argon2(monkeypatch)


def test_nothing_is_hashed_for_who_has_no_invitation(farm: Farm, hasher: Argon2) -> None:
    with pytest.raises(InvitationRefused):
        register(farm, "nope", "eve", PASSWORD, address=THERE)
    assert hasher.calls == 0


def test_whoever_guesses_at_invitations_waits_and_is_told_of(tmp_path: Path, clock: FakeClock) -> None:
    farm = make_farm(tmp_path / "data", clock=clock)
    for _ in range(20):
        with pytest.raises(InvitationRefused):
            register(farm, "nope", "eve", PASSWORD, address=THERE)
    code = invite(farm, ACTOR, Role.ARTIST).code
    with pytest.raises(TooManyGuesses):
        register(farm, code, "eve", PASSWORD, address=THERE)
    assert register(farm, code, "mona", PASSWORD, address=ELSEWHERE).name == "mona"
    told = farm.repository.audit.newest(entry_filter=AuditFilter(action="user.register", refused=True))
    assert (len(told), told[0].address) == (20, THERE)
    close(farm)


@pytest.mark.slow
@pytest.mark.usefixtures("full_argon2")
def test_a_hash_takes_the_effort_that_rfc_9106_asks_for_and_one_that_took_less_is_made_anew(farm: Farm) -> None:
    usual = argon2.profiles.RFC_9106_LOW_MEMORY
    add_user(farm, ACTOR, "ada", Role.ADMIN, password=PASSWORD)
    assert argon2.extract_parameters(farm.repository.users.password_hash("ada") or "") == usual
    farm.repository.users.add("bob", Role.ARTIST, (), password=QUICK.hash(PASSWORD), actor=ACTOR)
    log_in(farm, "bob", PASSWORD, address=THERE)
    assert argon2.extract_parameters(farm.repository.users.password_hash("bob") or "") == usual


@pytest.mark.slow
def test_a_user_that_is_not_there_takes_one_hash_as_any_other(served: Served, hasher: Argon2) -> None:
    add_user(served.farm, ACTOR, "ada", Role.ADMIN, password=PASSWORD)
    Hashing().is_right("x", None)  # the hash of nobody's password is made once
    taken = []
    for name in ("ada", "nobody"):
        before = hasher.calls
        served.client.post(f"{API}/session", json={"name": name, "password": "not the password"})
        taken.append(hasher.calls - before)
    assert taken == [1, 1]


def test_no_more_wait_than_may_and_of_one_network_fewer() -> None:
    gate = HashGate(at_once=1, waiting=2, waiting_of_one=1, wait_s=30.0)
    entered, outcomes = threading.Semaphore(0), Counter[str]()

    def ask(address: str) -> None:
        try:
            with gate.passed(address):
                entered.release()
        except Busy:
            outcomes[address] += 1

    with gate.passed(THERE):
        waiting = [threading.Thread(target=ask, args=(item,)) for item in ("2001:db8::1", ELSEWHERE)]
        for number, thread in enumerate(waiting, 1):
            thread.start()
            while gate.waiting < number:
                assert thread.is_alive()
        ask("2001:db8::2")  # of the same /64
        ask("203.0.113.9")  # there are two already
        assert outcomes == {"2001:db8::2": 1, "203.0.113.9": 1}
    for thread in waiting:
        thread.join()
    assert (entered.acquire(blocking=False), entered.acquire(blocking=False), gate.waiting) == (True, True, 0)


def test_who_waits_too_long_is_told_to_come_again() -> None:
    gate = HashGate(at_once=1, waiting=2, waiting_of_one=1, wait_s=0.01)
    with gate.passed(THERE), pytest.raises(Busy) as caught, gate.passed(THERE):
        pass
    assert caught.value.retry_after_s
    with gate.passed(THERE) as hashing:
        assert isinstance(hashing, Hashing)


@pytest.mark.slow
def test_a_flood_of_strangers_holds_up_strangers_alone(farm: Farm) -> None:
    add_user(farm, ACTOR, "ada", Role.ADMIN, password=PASSWORD)
    log_in(farm, "ada", PASSWORD, address=THERE)
    code = invite(farm, ACTOR, Role.ARTIST).code
    with ExitStack() as flood:
        for number in range(STRANGER_GATE.at_once):
            flood.enter_context(STRANGER_GATE.passed(f"203.0.113.{number}"))
        with pytest.raises(Busy):
            log_in(farm, "ada", PASSWORD, address=ELSEWHERE)
        assert log_in(farm, "ada", PASSWORD, address=THERE).actor.name == "ada"
        assert register(farm, code, "mona", PASSWORD, address=ELSEWHERE).name == "mona"
    assert log_in(farm, "ada", PASSWORD, address=ELSEWHERE), "whoever was told to come again has guessed at nothing"


@pytest.mark.slow
def test_a_flood_of_passwords_by_every_route_hashes_few_at_once_and_leaves_the_server_its_threads(
    served: Served, hasher: Argon2
) -> None:
    ada, bob = served.person("ada", Role.ADMIN), served.person("bob", Role.ARTIST)
    for name in ("ada", "bob"):
        set_password(served.farm, ACTOR, name, PASSWORD)
    codes = iter([invite(served.farm, ACTOR, Role.VIEWER).code for _ in range(20)])
    post, put = served.client.post, served.client.put
    form = {"name": "bob", "password": "wrong-password"}

    def flood(number: int) -> int:
        named = f"new-{number}"
        return [
            lambda: post(f"{API}/session", json={"name": f"nobody-{number}", "password": PASSWORD}),
            lambda: post(f"{API}/tokens/by-password", json={"user": named, "password": PASSWORD, "name": "x"}),
            lambda: post(f"{API}/register", json={"code": next(codes), "name": named, "password": PASSWORD}),
            lambda: put(f"{API}/users/bob/password", json={"password": PASSWORD, "old": PASSWORD}, headers=bob),
            lambda: put(f"{API}/users/bob/password", json={"password": PASSWORD}, headers=ada),
            lambda: post(f"{API}/users", json={"name": named, "password": PASSWORD}, headers=ada),
            lambda: post("/login", data=form),
        ][number % 7]().status_code

    with ThreadPoolExecutor(100) as pool:
        answers = [pool.submit(flood, number) for number in range(140)]
        while not any(answer.done() for answer in answers):
            assert served.client.get(f"{API}/whoami", headers=bob).status_code == 200
        codes_seen = Counter(answer.result() for answer in answers)
    assert 1 <= hasher.peak <= KNOWN_GATE.at_once + STRANGER_GATE.at_once, codes_seen
    assert codes_seen[503] > 0, codes_seen
    assert codes_seen.keys() <= {200, 201, 401, 409, 429, 503}, codes_seen
