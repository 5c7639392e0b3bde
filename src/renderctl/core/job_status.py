"""The document of a job: what `status --json` prints, the server answers, the cache keeps and webhooks send."""

from typing import TypedDict


class TaskTotals(TypedDict):
    """How many tasks a job has, and how many of them are in each state."""

    total: int
    blocked: int
    queued: int
    running: int
    succeeded: int
    failed: int
    canceled: int


class JobRowStatus(TypedDict):
    """What the job's own row says of it."""

    id: str
    name: str
    state: str  #: a JobState
    model: str  #: NAME@VERSION
    project: str
    owner: str
    pool: str
    priority: int
    frames: str
    cameras: list[str | None]  #: None: the scene's own
    created_at: str  #: times are UTC, in ISO 8601 with a Z
    started_at: str | None
    finished_at: str | None
    error: str | None
    notes: list[str]


class JobStatus(JobRowStatus):
    """How a job stands."""

    tasks: TaskTotals
    progress: float  #: 0 to 1, running frames included
    eta_seconds: float | None
    waiting_reason: str | None
    outputs: int
    image: str | None  #: digest of the container image that rendered its last frame; None: no container did
