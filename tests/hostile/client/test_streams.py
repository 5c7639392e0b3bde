"""Somebody follows the farm, and may do so no longer: they learn nothing more, however quiet or busy it is."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import httpx2
import pytest

from renderctl.core.actors import Role
from renderctl.farm.people.passwords import Hashing
from renderctl.farm.people.sessions import log_in
from renderctl.server.streams import CHECK_EVERY_S
from tests.farms import ACTOR, at_work, given_job
from tests.server.conftest import Served, farm
from tests.server.live import listening

__all__ = ["farm"]  # an embedded one will do


@dataclass
class Reading:
    """A stream that a thread reads."""

    ended: threading.Event = field(default_factory=threading.Event)

    def read(self, response: Any) -> None:
        with suppress(httpx2.HTTPError):  # the test is over
            for _ in response.iter_lines():
                pass
            self.ended.set()


class Followers:
    """Streams of one server, each read by a thread of its own."""

    def __init__(self, url: str, stack: ExitStack) -> None:
        self._url = url
        self._stack = stack
        self.open: list[Reading] = []

    def follow(self, path: str, headers: dict[str, str]) -> Reading:
        client = self._stack.enter_context(httpx2.Client(headers=headers, timeout=60, verify=False))
        response = self._stack.enter_context(client.stream("GET", f"{self._url}/api/v1{path}"))
        assert response.status_code == 200, response.read()
        reading = Reading()
        threading.Thread(target=reading.read, args=(response,), daemon=True).start()
        self.open.append(reading)
        return reading


@pytest.fixture
def followers(served: Served) -> Iterator[Followers]:
    with ExitStack() as stack:
        yield Followers(stack.enter_context(listening(served.farm)), stack)


def given_session(served: Served, name: str) -> tuple[dict[str, str], str]:
    """A log-in from a browser: its cookie, and its id."""
    kept = Hashing().hashed("correct horse")
    served.farm.repository.users.add(name, Role.ARTIST, ("film",), password=kept, actor=ACTOR)
    found = log_in(served.farm, name, "correct horse", address=None)
    return {"Cookie": f"renderctl_session={found.secret}"}, served.farm.repository.sessions.all(user=name)[0].id


def given_denials(served: Served) -> dict[str, tuple[dict[str, str], Callable[[], object]]]:
    """People who may read, by how it comes that they may not: their headers, and what brings it about."""
    repository = served.farm.repository
    revoked = served.person("revoked", Role.ARTIST, "film")
    disabled = served.person("disabled", Role.ARTIST, "film")
    removed = served.person("removed", Role.ARTIST, "film")
    logged_out, session = given_session(served, "loggedout")
    return {
        "its token is revoked": (revoked, lambda: served.revoke(revoked)),
        "they are disabled": (disabled, lambda: repository.users.disable("disabled", actor=ACTOR)),
        "they leave the project": (
            removed,
            lambda: repository.projects.remove_members("film", ["removed"], actor=ACTOR),
        ),
        "their session is ended": (logged_out, lambda: repository.sessions.end("loggedout", session, actor=ACTOR)),
    }


@pytest.mark.slow
@pytest.mark.parametrize("busy", [False, True], ids=["quiet", "busy"])
def test_a_stream_ends_within_seconds_when_its_reader_may_not_read_it(
    served: Served, followers: Followers, busy: bool
) -> None:
    denials = given_denials(served)
    job = given_job(served.farm, "1-2000", project="film")
    may = served.person("may", Role.ARTIST, "film")
    served.person("expires", Role.ARTIST, "film")
    paths = ("/events", f"/events?job={job.id}", f"/jobs/{job.id}/logs/live")
    with ExitStack() as crew:
        if busy:
            crew.enter_context(at_work(served.farm, "w1"))
        good = [followers.follow(path, may) for path in paths]
        bad = {
            (why, path): followers.follow(path, headers)
            for why, (headers, _) in denials.items()
            for path in paths
            if (why, path) != ("they leave the project", "/events")  # that tells of what is left to them
        }
        expiring = served.token("expires", lasts_s=5.0)
        bad |= {("the token expires", path): followers.follow(path, expiring) for path in paths}
        for _, deny in denials.values():
            deny()
        give_up = time.monotonic() + CHECK_EVERY_S + 7
        late = [which for which, reading in bad.items() if not reading.ended.wait(max(0, give_up - time.monotonic()))]
        assert late == []
        assert [reading.ended.is_set() for reading in good] == [False] * 3


@pytest.mark.slow
def test_one_user_follows_so_much_at_once_and_others_still_may(served: Served) -> None:
    settings = served.farm.settings
    farm = replace(served.farm, settings=replace(settings, serve=replace(settings.serve, streams_per_user=3)))
    eve, bob = served.person("eve", Role.ARTIST, "film"), served.person("bob", Role.ARTIST, "film")
    with listening(farm) as url, ExitStack() as stack:
        followers = Followers(url, stack)
        for _ in range(3):
            followers.follow("/events", eve)
        answer = httpx2.get(f"{url}/api/v1/events", headers=eve, timeout=30)
        assert (answer.status_code, answer.json()["error"]["code"]) == (429, "too_many_requests")
        assert int(answer.headers["retry-after"]) >= 1
        followers.follow("/events", bob)
