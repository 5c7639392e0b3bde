"""What became of each job, and whether that is what people's actions allow.

The audit log holds what they did in its order: whoever changes a job locks its row, and adds the entry in the same
transaction.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from renderctl.core.requirements import Requirements
from renderctl.core.states import ENDED_JOB, OPEN_ATTEMPT, OPEN_TASK, JobState, TaskState
from renderctl.farm import Farm
from renderctl.repository.schema.audit import audits
from renderctl.repository.schema.jobs import attempts, job_dependencies, jobs, outputs, tasks
from tests.chaos.job_factory import MISSING_TAG
from tests.chaos.operators import Action


@dataclass(frozen=True)
class JobHistory:
    """One job: its rows, and what people did to it."""

    row: Any
    tasks: Sequence[Any]
    attempts: Sequence[Any]
    outputs: Sequence[Any]
    audits: Sequence[Any]  #: in their order
    unmet: Sequence[str]  #: jobs that it waits for, and that have not ended as they were to

    @property
    def id(self) -> str:
        return str(self.row.id)

    @property
    def state(self) -> JobState:
        return JobState(self.row.state)

    @property
    def retried(self) -> bool:
        return any(row.action == "job.retry" and row.details["tasks"] for row in self.audits)

    @property
    def suits_nobody(self) -> bool:
        """Whether it requires what no worker has."""
        return MISSING_TAG in Requirements.from_document(self.row.requirements).tags

    @property
    def task_states(self) -> Counter[TaskState]:
        return Counter(TaskState(row.state) for row in self.tasks)

    @property
    def is_over(self) -> bool:
        """Whether it has ended, and nothing of it runs."""
        if self.state not in ENDED_JOB or any(row.state in OPEN_ATTEMPT for row in self.attempts):
            return False
        return not OPEN_TASK & self.task_states.keys()

    def waits(self, histories: Mapping[str, "JobHistory"]) -> bool:
        """Whether it waits in vain: what it is to come after has ended otherwise, or waits in vain itself."""
        if self.state not in (JobState.QUEUED, JobState.RUNNING) or not self.task_states[TaskState.BLOCKED]:
            return False
        if self.task_states[TaskState.QUEUED] or self.task_states[TaskState.RUNNING]:
            return False
        return any(histories[job_id].is_over or histories[job_id].waits(histories) for job_id in self.unmet)


def histories_of(farm: Farm) -> dict[str, JobHistory]:
    """Every job that was not removed, at one moment where the database can do that."""

    def reading(connection: Connection) -> dict[str, JobHistory]:
        present = connection.execute(select(jobs).where(jobs.c.removed_at.is_(None)).order_by(jobs.c.id)).all()
        rows, tried, published = (
            _by_job(connection.execute(select(table)).all(), "job_id") for table in (tasks, attempts, outputs)
        )
        told = select(audits).where(audits.c.action.like("job.%")).order_by(audits.c.id)
        told_of = _by_job(connection.execute(told).all(), "subject")
        unmet = _unmet(connection)
        return {
            row.id: JobHistory(row, rows[row.id], tried[row.id], published[row.id], told_of[row.id], unmet[row.id])
            for row in present
        }

    return farm.repository.database.read(reading)


def require_allowed(
    histories: Mapping[str, JobHistory], actions: Mapping[str, Action], *, damaged: bool = False
) -> Counter[str]:
    """Every job ended as people's actions allow; `damaged`: the store gave wrong bytes, which ends a job at once.

    Returns how many jobs ended how.
    """
    ends: Counter[str] = Counter()
    for history in histories.values():
        if history.waits(histories):
            ends["jobs that wait in vain"] += 1
            continue
        assert history.is_over, (history.row, history.task_states, history.unmet)
        _require_allowed(history, actions, damaged=damaged)
        ends[f"jobs {history.state}"] += 1
    return ends


def _require_allowed(history: JobHistory, actions: Mapping[str, Action], *, damaged: bool) -> None:
    canceled, partly = _stopped(history.audits, actions, damaged=damaged)
    states = history.task_states
    context = (history.row, states, [(row.actor, row.action, row.details) for row in history.audits])
    if canceled:
        assert history.state is JobState.CANCELED, context
        return
    if states[TaskState.FAILED]:
        expected = JobState.FAILED
    elif states[TaskState.CANCELED]:
        expected = JobState.CANCELED
    else:
        expected = JobState.SUCCEEDED
    assert history.state is expected, context
    failed = [row for row in history.tasks if row.state == TaskState.FAILED]
    of_store = [row for row in failed if damaged and "damaged blob" in str(row.error)]
    assert partly or of_store or not states[TaskState.CANCELED], context
    assert all(row.attempts >= history.row.max_attempts or row in of_store for row in failed), context


def _stopped(rows: Iterable[Any], actions: Mapping[str, Action], *, damaged: bool) -> tuple[bool, bool]:
    """Whether the last word was to cancel; and whether frames may be left that were canceled before it was retried."""
    canceled = partly = False
    for row in rows:
        if row.action == "job.cancel":
            canceled = True
        elif row.action == "job.retry" and row.details["tasks"]:
            action = actions.get(row.actor)  # over a server nobody is told apart
            whole = action is not None and action.whole and action.answered
            partly = (canceled or partly or damaged) and not whole
            canceled = False
    return canceled, partly


def _by_job(rows: Iterable[Any], column: str) -> defaultdict[str, list[Any]]:
    grouped: defaultdict[str, list[Any]] = defaultdict(list)
    for row in rows:
        grouped[getattr(row, column)].append(row)
    return grouped


def _unmet(connection: Connection) -> defaultdict[str, list[str]]:
    """The jobs that each job waits for, and that have not ended as they were to."""
    query = select(job_dependencies, jobs.c.state).join(jobs, jobs.c.id == job_dependencies.c.after_id)
    waited_for: defaultdict[str, list[str]] = defaultdict(list)
    for row in connection.execute(query.where(jobs.c.removed_at.is_(None))):
        met = row.state in ENDED_JOB if row.any_end else row.state == JobState.SUCCEEDED
        if not met:
            waited_for[row.job_id].append(row.after_id)
    return waited_for
