"""The rows of a job's tasks, frames times cameras, which the database makes itself from two short lists.

A million rows built and bound in Python take three times as long.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from sqlalchemy import Connection, select, text

from renderctl.core.frames import FrameSet
from renderctl.core.states import TaskState
from renderctl.repository.schema.jobs import tasks

_COLUMNS = "INSERT INTO task (job_id, number, frame, camera, state, attempts)"
_INSERT = {
    "sqlite": text(
        f"{_COLUMNS} SELECT :job, :first + f.key * :width + c.key, f.value, c.value, :state, 0"
        " FROM json_each(:frames) AS f CROSS JOIN json_each(:cameras) AS c"
    ),
    "mysql": text(
        f"{_COLUMNS} SELECT :job, :first + (f.place - 1) * :width + c.place - 1, f.frame, c.camera, :state, 0"
        " FROM JSON_TABLE(:frames, '$[*]' COLUMNS (place FOR ORDINALITY, frame INT PATH '$')) AS f"
        " STRAIGHT_JOIN"
        " JSON_TABLE(:cameras, '$[*]' COLUMNS (place FOR ORDINALITY, camera VARCHAR(255) PATH '$')) AS c"
    ),
}


@dataclass(frozen=True)
class TaskBatch:
    """Some frames, with all cameras for each."""

    first: int  #: the number of its first task
    frames: Sequence[int]
    cameras: Sequence[str | None]

    def __len__(self) -> int:
        return len(self.frames) * len(self.cameras)

    @property
    def last(self) -> int:
        """The number of its last task."""
        return self.first + len(self) - 1


class TaskBatches:
    """The tasks of a job, batch by batch."""

    def __init__(self, frames: FrameSet, cameras: Sequence[str | None]) -> None:
        self.cameras = cameras
        self.count = len(frames) * len(cameras)  #: tasks of the job
        self._frames: Iterator[int] = iter(frames)
        self._first = 1

    def take(self, tasks: int) -> TaskBatch | None:
        """Return the next so many tasks, rounded to whole frames, or the rest; None: there are no more."""
        frames = list(islice(self._frames, max(1, tasks // max(1, len(self.cameras)))))
        if not frames:
            return None
        batch = TaskBatch(self._first, frames, self.cameras)
        self._first = batch.last + 1
        return batch


def insert_rows(connection: Connection, job_id: str, batch: TaskBatch, state: TaskState) -> None:
    """Insert the rows of a batch. `task_states.insert_tasks` also counts them."""
    parameters = {
        "job": job_id,
        "first": batch.first,
        "width": len(batch.cameras),
        "frames": json.dumps(batch.frames),
        "cameras": json.dumps(batch.cameras),
        "state": str(state),
    }
    connection.execute(_INSERT[connection.dialect.name], parameters)


def is_inserted(connection: Connection, job_id: str, batch: TaskBatch) -> bool:
    """Whether the rows of a batch are there: all of them are inserted at once."""
    last = select(tasks.c.number).where(tasks.c.job_id == job_id, tasks.c.number == batch.last)
    return connection.execute(last).first() is not None
