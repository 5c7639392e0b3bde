"""Lives of tasks a second: claimed, started, rendered by an executor that renders nothing, published, settled."""

import threading
from pathlib import Path

from benchmarks.timing import empty_folder
from renderctl.core.settings import Settings
from tests.fake_blender import FakeExecutor
from tests.farms import close, given_job, make_farm, work_until

_TASKS = 3000


def main() -> None:
    for slots in (1, 2):
        with empty_folder() as folder:
            seconds = _lived(folder, slots)
        workers = f"{slots} worker{'s' * (slots > 1)} of one slot, threads of one process"
        print(f"SQLite, {workers}: {_TASKS / seconds:.0f} lifecycles/s (aim 500)")


def _lived(folder: Path, workers: int) -> float:
    """Seconds for all tasks of a job."""
    farm = make_farm(folder, settings=Settings(folder), executor=FakeExecutor(writes=False))
    job = given_job(farm, f"1-{_TASKS}")
    threads = [threading.Thread(target=work_until, args=(farm, job), kwargs={"name": f"w{n}"}) for n in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ended = farm.repository.jobs.get(job.id)
    close(farm)
    assert ended.started_at is not None
    assert ended.finished_at is not None
    return (ended.finished_at - ended.started_at).total_seconds()
