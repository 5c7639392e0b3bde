"""Response models of the API, where they differ from the dataclasses of the core."""

from datetime import datetime

from pydantic import BaseModel

from renderctl.core.jobs import Output
from renderctl.core.models import ModelFacts
from renderctl.core.states import AttemptState, JobState, TaskState


class ErrorBody(BaseModel):
    code: str
    message: str
    hint: str | None


class ErrorDocument(BaseModel):
    """An error, as `--json` prints it."""

    error: ErrorBody


class TaskCounts(BaseModel):
    total: int
    blocked: int
    queued: int
    running: int
    succeeded: int
    failed: int
    canceled: int


class JobDocument(BaseModel):
    """A job, as `renderctl status --json` prints it."""

    id: str
    name: str
    state: JobState
    model: str
    project: str
    owner: str
    pool: str
    priority: int
    frames: str
    cameras: list[str | None]  #: null: the scene's own
    tasks: TaskCounts
    progress: float
    eta_seconds: float | None
    waiting_reason: str | None
    outputs: int
    image: str | None  #: digest of the container image that rendered its last frame; null: without a container
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    error: str | None
    notes: list[str]


class JobPage(BaseModel):
    jobs: list[JobDocument]
    next: str | None  #: `before` of the next page; null: this is the last


class SubmittedDocument(BaseModel):
    job: JobDocument
    new: bool  #: false: the idempotency key was used for the same request before
    notes: list[str]


class RetriedDocument(BaseModel):
    job: JobDocument
    tasks: int  #: how many were queued


class ModelDocument(BaseModel):
    ref: str
    id: str
    name: str
    project: str
    version: int
    owner: str
    created_at: datetime
    main: str
    digest: str
    facts: ModelFacts
    size: int
    files: int


class TaskDocument(BaseModel):
    id: str
    job_id: str
    number: int
    frame: int
    camera: str | None
    state: TaskState
    attempts: int
    error: str | None


class AttemptDocument(BaseModel):
    id: str
    task_id: str
    job_id: str
    number: int
    frame: int
    camera: str | None
    worker_id: str
    state: AttemptState
    started_at: datetime | None
    ended_at: datetime | None
    progress: float
    error: str | None
    log: str | None


class TaskStatusDocument(BaseModel):
    task: TaskDocument
    progress: float
    attempts: list[AttemptDocument]
    outputs: list[Output]


class LogPartDocument(BaseModel):
    attempt: AttemptDocument
    text: str


class LogRangeDocument(LogPartDocument):
    start: int
    end: int
    size: int


class SessionDocument(BaseModel):
    """The logged-in user, and the value of the header X-CSRF-Token with which their browser writes."""

    name: str
    role: str
    projects: list[str]
    csrf: str | None


class Health(BaseModel):
    status: str


class Readiness(BaseModel):
    status: str
    parts: dict[str, bool]
