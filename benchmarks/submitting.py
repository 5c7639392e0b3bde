"""Jobs of very many frames, submitted, canceled, tried again: seconds, memory, and how long others wait to write."""

import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from threading import Event, Thread
from typing import Any

from sqlalchemy import Connection, text

from benchmarks.farms import ACTOR, given_farm, given_job, given_model
from benchmarks.timing import empty_folder
from renderctl.farm.jobs.submit import SubmitRequest, submit

_FRAMES, _STEERED = 1_000_000, 400_000


def main() -> None:
    with empty_folder() as folder:
        farm = given_farm(folder)
        model = given_model(farm)
        small = given_job(farm, model, "1-3")
        farm.queue.get(["default"], 0.0)

        def submitting() -> Any:
            return submit(farm, ACTOR, model, SubmitRequest(frames=f"1-{_FRAMES}")).job

        took, waited, job = timed_beside_a_writer(given_farm(folder), small.id, submitting)
        memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        messages = 0
        while farm.queue.get(["default"], 0.0) is not None:
            messages += 1
        print(f"submit of {_FRAMES:,} frames: {took:.2f} s (aim 4), {memory_mb:.0f} MB in all (aim 150), ", end="")
        print(f"{messages} message; {farm.repository.tasks.counts(job.id).queued:,} tasks are queued")
        print(f"  somebody else's write waits for {waited * 1000:.0f} ms at most (aim 250)")
        steered = given_job(farm, model, f"1-{_STEERED}")
        for name, deed in (("cancel", farm.repository.jobs.cancel), ("retry", farm.repository.jobs.retry)):
            deed_of_job = partial(deed, steered.id, actor=ACTOR)
            took, waited, _ = timed_beside_a_writer(given_farm(folder), small.id, deed_of_job)
            print(f"{name} of {_STEERED:,} tasks: {took:.2f} s (aim 3), ", end="")
            print(f"somebody else's write waits for {waited * 1000:.0f} ms at most (aim 250)")


def timed_beside_a_writer(farm: Any, job_id: str, deed: Callable[[], Any]) -> tuple[float, float, Any]:
    """Seconds of the deed, seconds of the longest write that another one did meanwhile, and what the deed returns."""
    with _writing(farm, job_id) as waits:
        began = time.perf_counter()
        result = deed()
        took = time.perf_counter() - began
    return took, max(waits), result


@contextmanager
def _writing(farm: Any, job_id: str) -> Iterator[list[float]]:
    """Somebody writes a row of a job again and again: how long each time took."""
    waits, stop = list[float](), Event()
    touch = text("UPDATE job SET nudges = nudges + 1 WHERE id = :job")

    def touching(connection: Connection) -> None:
        connection.execute(touch, {"job": job_id})

    def write() -> None:
        while not stop.wait(0.005):
            began = time.perf_counter()
            farm.repository.database.write(touching)
            waits.append(time.perf_counter() - began)

    thread = Thread(target=write)
    thread.start()
    try:
        yield waits
    finally:
        stop.set()
        thread.join()
