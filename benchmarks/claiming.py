"""What a claim, a completion, a heartbeat and a sweep cost beside 1,000 and beside 1,000,000 finished tasks.

SQLite, and MySQL where RENDERCTL_TEST_MYSQL_URL names a server. Of the same job and in the same tables are as many
finished tasks, with an attempt and an output each, as the column says.
"""

import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy import String, cast, func, literal, select

from benchmarks.timing import empty_folder
from renderctl.core.attempts import Claimant, Cost
from renderctl.core.jobs import Attempt, Job, Output
from renderctl.core.states import AttemptState, TaskState
from renderctl.core.workers import Heartbeat
from renderctl.farm import Farm
from renderctl.farm.admin.sweep import sweep
from renderctl.repository.database.engine import open_engine
from renderctl.repository.schema.jobs import attempts, outputs, tasks
from tests.databases import farm_on
from tests.farms import close, given_job, given_worker
from tests.services.fresh import fresh_mysql

_FINISHED = (1_000, 1_000_000)
_ROUNDS = 300
_QUEUED = 10_000


def main() -> None:
    server = os.environ.get("RENDERCTL_TEST_MYSQL_URL")
    if server is None:
        print("RENDERCTL_TEST_MYSQL_URL is not set: SQLite alone", file=sys.stderr)
    for name in ("SQLite", "MySQL") if server else ("SQLite",):
        measured = []
        for finished in _FINISHED:
            with empty_folder() as folder, _database(name, folder, server) as url:
                measured.append(_costs(folder, url, finished))
        print(f"{name}, milliseconds, median (99th percentile of {_ROUNDS}):")
        for deed in measured[0]:
            columns = (
                f"{finished:>9,} finished {_shown(each[deed])}"
                for finished, each in zip(_FINISHED, measured, strict=True)
            )
            ratio = statistics.median(measured[1][deed]) / statistics.median(measured[0][deed])
            print(f"  {deed:16}", *columns, f"  ratio {ratio:.2f}")


@contextmanager
def _database(name: str, folder: Path, server: str | None) -> Iterator[str]:
    fresh = fresh_mysql(server) if name == "MySQL" and server else nullcontext(f"sqlite:///{folder / 'renderctl.db'}")
    with fresh as url:
        yield url


def _costs(folder: Path, url: str, finished: int) -> dict[str, list[float]]:
    farm = farm_on(url, folder)
    job = given_job(farm, f"1-{finished + _QUEUED}")
    slot = given_worker(farm)
    farm.repository.attempts.claim(job.id, slot)
    _finish(farm, url, job, finished)
    costs: dict[str, list[float]] = {}
    held: list[Attempt] = []
    for _ in range(_ROUNDS):
        claimed = _timed(costs, "claim of 1", lambda: farm.repository.attempts.claim(job.id, slot).attempts)
        held += _timed(costs, "claim of 20", lambda: farm.repository.attempts.claim(job.id, slot, limit=20).attempts)
        (attempt,) = claimed
        _timed(costs, "start", lambda: farm.repository.attempts.start(attempt))  # noqa: B023
        _timed(costs, "complete", lambda: _complete(farm, attempt, held[-1]))  # noqa: B023
        _timed(costs, "heartbeat", lambda: farm.repository.workers.heartbeat(_beat(slot, held[-20:])))  # noqa: B023
        _timed(costs, "waiting jobs", lambda: farm.repository.attempts.claimable_jobs(slot))
    for _ in range(_ROUNDS // 10):
        _timed(costs, "sweep", lambda: sweep(farm, "bench"))
    close(farm)
    return costs


def _finish(farm: Farm, url: str, job: Job, count: int) -> None:
    """The first tasks of the job are done, each with an attempt and an output."""
    engine = open_engine(url, patient=True)
    mine = (tasks.c.job_id == job.id) & (tasks.c.number <= count)
    name = literal("b").concat(cast(tasks.c.number, String(12)))
    moment = select(attempts.c.claimed_at).limit(1).scalar_subquery()
    common: dict[str, Any] = {"job_id": tasks.c.job_id, "number": tasks.c.number}
    attempt = common | {
        "id": name,
        "worker_id": literal("w0"),
        "incarnation": literal("1"),
        "slot": literal(0),
        "state": literal(AttemptState.SUCCEEDED.value),
        "claimed_at": moment,
        "seen_at": moment,
        "progress": literal(1.0),
    }
    output = common | {
        "attempt_id": name,
        "name": name.concat(".png"),
        "frame": tasks.c.frame,
        "digest": literal("a" * 64),
        "size": literal(1),
        "created_at": moment,
    }
    with engine.begin() as connection:
        connection.execute(attempts.update().values(state=AttemptState.RELEASED, number=count + 1))
        for table, row in ((attempts, attempt), (outputs, output)):
            rows = select(*(value.label(key) for key, value in row.items())).where(mine)
            connection.execute(table.insert().from_select(list(row), rows))
        connection.execute(tasks.update().where(mine).values(state=TaskState.SUCCEEDED, attempt_id=name))
        assert connection.scalar(select(func.count()).select_from(outputs)) == count
    engine.dispose()
    farm.repository.count_checks.correct([job.id])


def _complete(farm: Farm, attempt: Attempt, following: Attempt) -> None:
    output = Output(f"{attempt.frame:04d}.png", "b" * 64, 10, 4, 4, attempt.frame, None, attempt.number)
    farm.repository.attempts.complete(attempt, [output], Cost(1.0), starting=[following])


def _beat(slot: Claimant, held: list[Attempt]) -> Heartbeat:
    return Heartbeat(slot.worker_id, slot.incarnation, {each.id: 0.5 if each is held[-1] else 0.0 for each in held})


def _timed(costs: dict[str, list[float]], deed: str, do: Callable[[], Any]) -> Any:
    started = time.perf_counter()
    result = do()
    costs.setdefault(deed, []).append((time.perf_counter() - started) * 1000)
    return result


def _shown(costs: list[float]) -> str:
    return f"{statistics.median(costs):7.2f} ({statistics.quantiles(costs, n=100)[-1]:7.2f})"


if __name__ == "__main__":
    main()
