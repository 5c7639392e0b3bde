"""Logs while they grow: from the cache, and from the store what the cache has lost."""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from renderctl.core.attempts import Cost
from renderctl.core.errors import StoreUnavailable
from renderctl.core.jobs import Attempt, Job
from renderctl.core.settings import Settings
from renderctl.farm import Farm
from renderctl.farm.jobs.attempt_logs import LogPart
from renderctl.farm.jobs.logs import follow, logs
from renderctl.stores.local import LocalStore
from tests.caches import BOTH_CACHES, open_cache
from tests.fake_blender import FakeExecutor, held
from tests.fakes import FakeClock, ForgetfulCache
from tests.farms import ACTOR, at_work, close, given_job, given_worker, make_farm, wait_for

TEXT = b"".join(b"Fra:1 Mem:%03dM\n" % number for number in range(100))


@pytest.fixture(params=BOTH_CACHES)
def farm(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> Iterator[Farm]:
    with open_cache(request, tmp_path, clock) as (cache, _):
        farm = make_farm(tmp_path, clock=clock, cache=cache)
        yield farm
        close(farm)


@pytest.fixture
def attempt(farm: Farm) -> Attempt:
    attempt = farm.repository.attempts.claim(given_job(farm, "1").id, given_worker(farm)).attempts[0]
    farm.repository.attempts.start(attempt)
    return attempt


class Steps(FakeClock):
    """A follower's clock: while he waits, the next thing happens; when there is no other he has read enough."""

    def __init__(self, steps: Sequence[Callable[[], None]]) -> None:
        super().__init__()
        self._steps = list(steps)

    def wait(self, event: threading.Event | None, seconds: float) -> bool:
        super().wait(None, seconds)
        if not self._steps:
            return True
        self._steps.pop(0)()
        return False


def followed(farm: Farm, attempt: Attempt, *steps: Callable[[], None]) -> list[str]:
    """What a follower reads, look by look, while the steps happen."""
    parts = follow(replace(farm, clock=Steps(steps)), ACTOR, attempt.job_id, stop=threading.Event())
    return [part.text for part in parts]


def test_a_follower_reads_what_the_cache_is_told(farm: Farm, attempt: Attempt) -> None:
    key = f"log:{attempt.id}"
    said = followed(
        farm,
        attempt,
        lambda: farm.cache.append(key, b"one ", at=0),
        lambda: None,
        lambda: farm.cache.append(key, b"two ", at=4),
        lambda: farm.cache.append(key, b"three", at=8),
    )
    assert said == ["one ", "two ", "three"]


def test_what_the_cache_has_lost_comes_from_the_store(farm: Farm, attempt: Attempt) -> None:
    key = f"log:{attempt.id}"
    farm.store.put_log(attempt.id, [b"one two "])
    said = followed(
        farm,
        attempt,
        lambda: farm.cache.append(key, b"three ", at=8),
        lambda: farm.store.put_log(attempt.id, [b"one two three four five six "]),
        lambda: farm.cache.append(key, b"six ", at=24),
        lambda: farm.store.put_log(attempt.id, [b"one two three four five six seven"]),
        lambda: farm.repository.attempts.complete(attempt, [], Cost()),
    )
    assert "".join(said) == "one two three four five six seven"


def test_without_any_cache_a_log_is_followed_in_the_store(farm: Farm, attempt: Attempt) -> None:
    said = followed(
        replace(farm, cache=ForgetfulCache()),
        attempt,
        lambda: farm.store.put_log(attempt.id, [b"one "]),
        lambda: farm.store.put_log(attempt.id, [b"one two "]),
        lambda: farm.store.put_log(attempt.id, [b"one two three"]),
        lambda: farm.repository.attempts.complete(attempt, [], Cost()),
    )
    assert said == ["one ", "two ", "three"]


class UnreadableStore(LocalStore):
    """A store that can not be read while it is said to be away."""

    away = False

    def read_log(self, attempt_id: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        if self.away:
            raise StoreUnavailable
        yield from super().read_log(attempt_id, start, end)


def test_the_end_of_a_log_is_read_though_the_store_was_away_when_its_attempt_ended(
    farm: Farm, attempt: Attempt, tmp_path: Path
) -> None:
    store = UnreadableStore(tmp_path / "logs")
    store.put_log(attempt.id, [b"one two three"])
    store.away = True
    said = followed(
        replace(farm, cache=ForgetfulCache(), store=store),
        attempt,
        lambda: farm.repository.attempts.complete(attempt, [], Cost()),
        lambda: None,
        lambda: setattr(store, "away", False),
    )
    assert "".join(said) == "one two three"


def test_a_log_is_read_whole_from_store_and_cache(farm: Farm, attempt: Attempt) -> None:
    farm.store.put_log(attempt.id, [TEXT[:500]])
    farm.cache.append(f"log:{attempt.id}", TEXT[300:], at=300)
    (part,) = logs(farm, ACTOR, attempt.job_id)
    assert part.text == TEXT.decode()
    farm.store.put_log(attempt.id, [TEXT])
    (part,) = logs(farm, ACTOR, attempt.job_id)
    assert part.text == TEXT.decode()


def test_who_follows_a_frame_reads_its_log_while_it_is_rendered(
    tmp_path: Path, settings: Settings, executor: FakeExecutor
) -> None:
    farm = make_farm(tmp_path, settings=settings, executor=executor)
    executor.behaviours[1] = held
    job = given_job(farm, "1")
    with at_work(farm):
        wait_for(farm, lambda: any("frame 1" in part.text for part in logs_of(farm, job)))
        executor.gate.set()
    close(farm)


def logs_of(farm: Farm, job: Job) -> list[LogPart]:
    return list(logs(farm, ACTOR, job.id)) if farm.repository.attempts.of_job(job.id) else []
