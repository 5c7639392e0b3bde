"""The tasks of a job, the attempts at them, and where one of them stands."""

from collections.abc import Sequence
from dataclasses import dataclass

from renderctl.core.actors import Actor
from renderctl.core.errors import InvalidInput, NotFound, did_you_mean
from renderctl.core.jobs import Attempt, Output, Task
from renderctl.core.states import AttemptState, TaskState
from renderctl.farm import Farm
from renderctl.farm.authorization import authorized_job
from renderctl.farm.jobs.attempt_logs import log_size, read_log
from renderctl.farm.jobs.logs import task_number


@dataclass(frozen=True)
class TaskStatus:
    """A task, what was tried, and what came of it."""

    task: Task
    progress: float  #: 0 to 1
    attempts: tuple[Attempt, ...]
    outputs: tuple[Output, ...]


def tasks(
    farm: Farm, actor: Actor, job_ref: str, states: Sequence[str] = (), *, after: int = 0, limit: int = 1000
) -> list[Task]:
    """Tasks of a job in their order, from the one that follows number `after`. Raises NotFound, InvalidInput."""
    for state in states:
        if state not in set(TaskState):
            raise InvalidInput(f"Tasks are never {state!r}.", hint=did_you_mean(state, list(TaskState)))
    job = authorized_job(farm, actor, job_ref, "job.see")
    return farm.repository.tasks.of_job(job.id, states=tuple(map(TaskState, states)), after=after, limit=limit)


def task_status(farm: Farm, actor: Actor, task_id: str) -> TaskStatus:
    """Where a task stands, by its id (`JOB-7`). Raises NotFound."""
    job_ref, dash, _ = task_id.rpartition("-")
    if not dash:
        raise NotFound(f"There is no task {task_id!r}.", hint="A task's id is its job's, a dash and its number.")
    job = authorized_job(farm, actor, job_ref, "job.see")
    number = task_number(farm, job, task_id.removeprefix(f"{job_ref}-"))
    (task,) = farm.repository.tasks.of_job(job.id, after=number - 1, limit=1)
    tried = tuple(farm.repository.attempts.of_job(job.id, number))
    running = [attempt.progress for attempt in tried if attempt.state is AttemptState.RUNNING]
    progress = 1.0 if task.state is TaskState.SUCCEEDED else max(running, default=0.0)
    return TaskStatus(task, progress, tried, tuple(farm.repository.outputs.of_task(job.id, number)))


def attempts(
    farm: Farm,
    actor: Actor,
    job_ref: str,
    task: str | None = None,
    *,
    tasks_between: tuple[int, int] | None = None,
    after: str = "",
    limit: int = 1000,
) -> list[Attempt]:
    """The attempts at a job's tasks, from the one that follows `after`: at all of them, at one, or at some.

    `tasks_between`: the numbers of the first and the last of these. Raises NotFound.
    """
    job = authorized_job(farm, actor, job_ref, "job.see")
    number = task_number(farm, job, task) if task else None
    return farm.repository.attempts.of_job(job.id, number, tasks_between=tasks_between, after=after, limit=limit)


@dataclass(frozen=True)
class LogRange:
    """Some of the log of one attempt."""

    attempt: Attempt
    text: str
    start: int  #: bytes before it
    end: int  #: where the next range begins
    size: int  #: bytes of the whole log, at this moment


def attempt_log(farm: Farm, actor: Actor, attempt_id: str, *, start: int = 0, limit: int = 1 << 20) -> LogRange:
    """What Blender has printed in one attempt: `limit` bytes from `start` on; a `start` below 0 counts from the end.

    Raises NotFound, StoreUnavailable.
    """
    attempt = farm.repository.attempts.get(attempt_id)
    try:
        authorized_job(farm, actor, attempt.job_id, "job.logs")
    except NotFound as error:  # its id would tell of a job that is hidden
        raise NotFound(f"There is no attempt {attempt_id!r}.") from error
    size = log_size(farm, attempt)
    start = min(start, size) if start >= 0 else max(0, size + start)
    content = b"".join(read_log(farm, attempt, start, start + limit))
    return LogRange(attempt, content.decode("utf-8", "replace"), start, start + len(content), size)
