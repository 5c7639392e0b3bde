"""Rows to the core's objects and back, and which rows an actor may see."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, Table, or_, select

from renderctl.core.jobs import Attempt, Job, Output, RenderOptions, Task
from renderctl.core.models import Model, ModelFacts
from renderctl.core.permissions import Visibility
from renderctl.core.requirements import Requirements
from renderctl.core.states import AttemptState, JobState, TaskState, WorkerState
from renderctl.core.workers import Capabilities, CurrentWork, RunningTask, Worker
from renderctl.repository.schema.jobs import attempts, outputs, tasks

ANY_ATTEMPT: Select[Any] = select(attempts, tasks.c.frame, tasks.c.camera).join(
    tasks, (tasks.c.job_id == attempts.c.job_id) & (tasks.c.number == attempts.c.number)
)
#: Those of a job in the order in which they were claimed. A server would rather look through the attempts of all jobs,
#: or through all that come before.
ATTEMPTS_IN_ORDER: Select[Any] = ANY_ATTEMPT.with_hint(attempts, "FORCE INDEX (ix_attempt_order)", "mysql").order_by(
    attempts.c.id
)
#: Those of a job in the order in which they were published.
OUTPUTS_IN_ORDER: Select[Any] = (
    select(outputs).with_hint(outputs, "FORCE INDEX (ix_output_order)", "mysql").order_by(outputs.c.id)
)


def to_job(row: Row[Any]) -> Job:
    return Job(
        id=row.id,
        name=row.name,
        state=JobState(row.state),
        model_id=row.model_id,
        model=row.model,
        options=RenderOptions.from_document(row.options),
        frames=row.frames,
        cameras=tuple(row.cameras),
        project=row.project,
        owner=row.owner,
        pool=row.pool,
        priority=row.priority,
        max_slots=row.max_slots,
        max_attempts=row.max_attempts,
        frame_timeout_s=row.frame_timeout_s,
        in_order=row.in_order,
        bound_to=row.bound_to,
        serial=row.serial,
        created_at=row.created_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        error=row.error,
        notes=tuple(row.notes or ()),
        requirements=Requirements.from_document(row.requirements),
        pause_reason=row.pause_reason,
    )


def to_task(row: Row[Any]) -> Task:
    return Task(row.job_id, row.number, row.frame, row.camera, TaskState(row.state), row.attempts, row.error)


def to_attempt(row: Row[Any]) -> Attempt:
    return Attempt(
        id=row.id,
        job_id=row.job_id,
        number=row.number,
        frame=row.frame,
        camera=row.camera,
        worker_id=row.worker_id,
        state=AttemptState(row.state),
        started_at=row.started_at,
        ended_at=row.ended_at,
        progress=row.progress,
        error=row.error,
        log=row.log,
    )


def to_output(row: Row[Any]) -> Output:
    return Output(
        name=row.name,
        digest=row.digest,
        size=row.size,
        width=row.width,
        height=row.height,
        frame=row.frame,
        camera=row.camera,
        number=row.number,
        device=row.device,
        image=row.image,
    )


def to_model(row: Row[Any]) -> Model:
    return Model(
        id=row.id,
        name=row.name,
        project=row.project,
        version=row.version,
        owner=row.owner,
        created_at=row.created_at,
        main=row.main,
        digest=row.digest,
        facts=ModelFacts.from_document(row.facts),
        size=row.size,
        files=row.files,
    )


def to_worker(row: Row[Any], pools: tuple[str, ...], held: tuple[str, ...] = ()) -> Worker:
    return Worker(
        id=row.id,
        host=row.host,
        state=WorkerState(row.state),
        incarnation=row.incarnation,
        slots=row.slots,
        pools=pools,
        capabilities=to_capabilities(row.capabilities),
        started_at=row.started_at,
        seen_at=row.seen_at,
        tasks=held,
        reason=row.reason,
        node=row.node,
    )


def to_capabilities(document: Mapping[str, Any]) -> Capabilities:
    values: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in document.items()
    }
    return Capabilities(**values)


def to_work(row: Row[Any]) -> CurrentWork:
    """Without a `job`, its name, the task is left unsaid."""
    task = None if row.job is None else RunningTask(row.job_id, row.job, row.number, row.frame, row.camera)
    return CurrentWork(row.worker_id, row.started_at, row.progress, task)


def visible(table: Table, visibility: Visibility) -> list[ColumnElement[Any]]:
    """Conditions on rows that have an owner and a project; none: all of them are visible."""
    if visibility.everything:
        return []
    return [or_(table.c.owner == visibility.owner, table.c.project.in_(sorted(visibility.projects)))]
