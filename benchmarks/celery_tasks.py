"""The rival's side of `python -m benchmarks celery`: a task that does nothing, on the same broker and database.

Set up the way one would trust with a night's work: acknowledged late, started tracked, results in the database.
"""

import os

from celery import Celery

app = Celery("bench", broker=os.environ["BENCH_BROKER"], backend="db+" + os.environ["BENCH_DATABASE"])
app.conf.update(
    task_acks_late=True,
    task_track_started=True,
    worker_prefetch_multiplier=4,
    broker_connection_retry_on_startup=True,
    task_default_queue="bench",
)


@app.task  # type: ignore[untyped-decorator]
def render_nothing(frame: int) -> int:
    """What a frame is to a queue."""
    return frame
