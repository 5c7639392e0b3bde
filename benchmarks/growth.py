"""What the farm does again and again, on MariaDB with 1.7 million tasks, 22,000 jobs and 2,000 workers.

Best of three each; beside it what it took before there were indexes and counts for it, and the aim. It needs a server
and some minutes: `python -m tests.services -- python -m benchmarks growth`.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.submitting import timed_beside_a_writer
from benchmarks.timing import empty_folder
from renderctl.core.attempts import Claimant
from renderctl.core.clocks import SystemClock
from renderctl.core.frames import FrameSet
from renderctl.core.jobs import NewJob, RenderOptions
from renderctl.core.settings import DatabaseSettings
from renderctl.farm import Farm
from renderctl.farm.change_feed import ChangeFeed
from renderctl.farm.jobs.log_follower import LogFollower
from renderctl.farm.jobs.status import job_document
from renderctl.repository import open_repository
from renderctl.repository.database.engine import open_engine
from tests.big_tables import HUGE, fill
from tests.farms import ACTOR, NODE, close, given_job, given_model, make_farm, quick_settings
from tests.services import MariaDb
from tests.services.fixtures import url_of
from tests.services.fresh import fresh_mysql

_TRIES = 3
_HUGE = HUGE.job_id(1)


@dataclass(frozen=True)
class _Row:
    what: str
    before: str
    aim_s: float
    action: Callable[[], object]


def main() -> None:
    print(f"{'what':58} {'before':>13} {'now':>11} {'aim':>11}")
    with empty_folder() as folder, fresh_mysql(url_of(MariaDb)) as url:
        farm = _big_farm(folder, url)
        for row in _rows(farm):
            _show(row.what, row.before, min(_seconds(row.action) for _ in range(_TRIES)), row.aim_s)
        canceled_s, retried_s = _steered(farm)
        _show("cancel of 400,000 tasks", "8-10 s", canceled_s, 3.0)
        _show("retry of 400,000 tasks", "8-10 s", retried_s, 3.0)
        close(farm)
    with empty_folder() as folder:
        took_s, waited_s = _submit(folder)
        _show("submit of 1,000,000 tasks, SQLite", "9-16 s", took_s, 4.0)
        _show("  somebody else's write meanwhile, the longest", "all of it", waited_s, 0.25)


def _big_farm(folder: Path, url: str) -> Farm:
    settings = quick_settings(folder)
    worker = replace(settings.worker, heartbeat=5.0, heartbeat_limit=3600.0)
    open_repository(url, now=SystemClock().now, heartbeat_limit_s=1.0).close()
    engine = open_engine(url, patient=True)
    took_s = _seconds(lambda: fill(engine))
    engine.dispose()
    print(f"tables filled in {took_s:.0f} s")
    return make_farm(folder, settings=replace(settings, worker=worker, database=DatabaseSettings(url)))


def _rows(farm: Farm) -> Iterator[_Row]:
    repository = farm.repository
    follower, changes = LogFollower(farm, _HUGE), ChangeFeed(farm)
    slot = Claimant("w7", "1", 0, ("default",), NODE)
    for _ in range(2):  # the first looks find out what there is
        follower.news()
        changes.look()
    repository.recovery.finish_cancellations()
    mark = repository.metrics.since(None).cursor
    yield _Row("logs -f of a job of 1,000,000 tasks, a look", "24.9 s", 0.005, follower.news)
    yield _Row("server events with 200 running jobs, a look", "3.4 s", 0.02, changes.look)
    yield _Row(
        "metrics, a scrape", "1.3-2.4 s", 0.05, lambda: (repository.metrics.measure(), repository.metrics.since(mark))
    )
    yield _Row("status of 1,000,000 tasks", "1.2-2.6 s", 0.02, lambda: job_document(farm, _HUGE))
    yield _Row("first page of outputs (100)", "0.6 s", 0.02, lambda: repository.outputs.of_job(_HUGE, limit=100))
    yield _Row("seconds until a retry", "0.3-0.8 s", 0.02, lambda: repository.tasks.seconds_to_retry(_HUGE))
    yield _Row("jobs for idle slots of a worker", "46 ms", 0.002, lambda: repository.attempts.claimable_jobs(slot))
    yield _Row("stopped jobs, a sweep", "with history", 0.005, repository.recovery.finish_cancellations)
    newest = repository.change_feed.newest_output_number()
    yield _Row(
        "  of it: what tells what has changed", "with history", 0.01, lambda: repository.change_feed.snapshot(newest)
    )


def _steered(farm: Farm) -> tuple[float, float]:
    """Seconds of a cancellation, and of the retry that takes it back."""
    canceled, retried = [], []
    for _ in range(_TRIES):
        canceled.append(_seconds(lambda: farm.repository.jobs.cancel(_HUGE, actor=ACTOR)))
        retried.append(_seconds(lambda: farm.repository.jobs.retry(_HUGE, actor=ACTOR)))
    return min(canceled), min(retried)


def _submit(folder: Path) -> tuple[float, float]:
    """Seconds that a submission takes, and that somebody else waits at most, on SQLite."""
    farm = make_farm(folder)
    model, small = given_model(farm), given_job(farm, "1-3")
    new = NewJob(model.name, model.id, RenderOptions(), FrameSet.parse("1-1000000"))
    took_s, waited_s, _ = timed_beside_a_writer(farm, small.id, lambda: farm.repository.jobs.add(new, actor=ACTOR))
    close(farm)
    return took_s, waited_s


def _seconds(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def _show(what: str, before: str, now_s: float, aim_s: float) -> None:
    print(f"{what:58} {before:>13} {_text(now_s):>11} {'<= ' + _text(aim_s):>11}", flush=True)


def _text(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1e3:.1f} ms"
