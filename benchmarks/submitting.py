"""Submitting a job of 100,000 frames: seconds, memory, messages."""

import resource
import time

from benchmarks.farms import ACTOR, given_farm, given_model
from benchmarks.timing import empty_folder
from renderctl.farm.submit import SubmitRequest, submit

_FRAMES = 100_000


def main() -> None:
    with empty_folder() as folder:
        farm = given_farm(folder)
        model = given_model(farm)
        started = time.perf_counter()
        job = submit(farm, model, SubmitRequest(frames=f"1-{_FRAMES}"), actor=ACTOR).job
        took = time.perf_counter() - started
        memory_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        messages = 0
        while farm.queue.get(["default"], 0.0) is not None:
            messages += 1
        print(f"submit of {_FRAMES:,} frames: {took:.2f} s (aim 3), {memory_mb:.0f} MB in all (aim 150), ", end="")
        print(f"{messages} message; {farm.repository.counts(job.id).queued:,} tasks are queued")
