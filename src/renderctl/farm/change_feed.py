"""What changes on the farm, found out once for everybody who wants to be told."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from renderctl.core.change_feed import job_state
from renderctl.core.job_status import JobStatus
from renderctl.core.permissions import Subject
from renderctl.core.serialization import to_json_value
from renderctl.core.states import JobState
from renderctl.farm import Farm
from renderctl.farm.jobs.status import job_documents

#: Outputs are asked for again from so many before the newest: a commit may overtake another.
_OVERLAP = 200
#: Documents of one look: of jobs that have changed, and of those that may have, each in its turn.
_CHANGED, _IN_TURN = 25, 4


@dataclass(frozen=True)
class Change:
    """Something that has changed: a job, an attempt at a task, or an output that was published."""

    kind: str  #: job, task, output, removed
    subject: Subject  #: the job, for whoever may see it
    told: Mapping[str, object]


class ChangeFeed:
    """Looks again and again, and tells what is different. Not for two threads at a time.

    A look costs the same however much there is that does not change. Where many jobs change at once, some of them are
    told a few looks later.
    """

    def __init__(self, farm: Farm) -> None:
        self._farm = farm
        self._rows: dict[str, str] = {}
        self._subjects: dict[str, Subject] = {}
        self._documents: dict[str, JobStatus] = {}
        self._changed: dict[str, None] = {}  # jobs whose documents are due, the first one first
        self._moving: dict[str, None] = {}  # jobs that move without a sign, the one that was asked longest ago first
        self._progress: dict[str, str] = {}  # of running attempts
        self._newest: int | None = None
        self._began = False
        self._seen: set[int] = set()
        self._untold: list[Change] = []  # found by a look that failed after that

    def look(self, only: Collection[str] | None = None) -> list[Change]:
        """What has changed since the last look; of those jobs alone."""
        repository = self._farm.repository
        if self._newest is None:
            self._newest = repository.change_feed.newest_output_number()
            self._seen = set(range(max(0, self._newest - _OVERLAP), self._newest + 1))
        snapshot = repository.change_feed.snapshot(max(0, self._newest - _OVERLAP), only)
        self._untold += self._note_jobs(snapshot.jobs, only)
        self._untold += self._attempts(snapshot.progress)
        self._untold += self._outputs(snapshot.outputs, self._newest)
        changes, self._untold = [*self._jobs(), *self._untold], []
        return changes

    def _note_jobs(self, rows: dict[str, str], only: Collection[str] | None) -> list[Change]:
        """Note which jobs have changed; what is to be told of those that are not looked at any more."""
        self._subjects |= self._farm.repository.change_feed.job_subjects(rows.keys() - self._rows.keys())
        for job_id, row in sorted(rows.items() - self._rows.items(), reverse=True):
            if job_id not in self._subjects:
                continue  # it was removed meanwhile
            if job_id in self._rows or self._began or only is not None:
                self._changed[job_id] = None
            self._rows[job_id] = row
            self._note_moving(job_id)
        self._began = True
        gone = sorted(self._rows.keys() - rows.keys())
        return self._left(gone[:_CHANGED])

    def _jobs(self) -> list[Change]:
        """How the jobs stand now that have changed, or may have."""
        due = list(self._changed)[:_CHANGED]
        due += [job_id for job_id in self._moving if job_id not in self._changed][: max(0, _IN_TURN - len(due))]
        changes = []
        documents = job_documents(self._farm, due)
        for job_id in due:
            self._changed.pop(job_id, None)
            if job_id in self._moving:  # from now on it is behind all others
                self._moving[job_id] = self._moving.pop(job_id)
            document = documents.get(job_id)
            if document is not None and document != self._documents.get(job_id):
                self._documents[job_id] = document
                self._note_moving(job_id)
                changes.append(Change("job", self._subjects[job_id], document))
        return changes

    def _left(self, job_ids: Sequence[str]) -> list[Change]:
        """Jobs are not looked at any more: they have ended a while ago, or were removed."""
        documents, changes = job_documents(self._farm, job_ids), []
        for job_id in job_ids:
            known, subject = self._documents.pop(job_id, None), self._subjects.pop(job_id)
            del self._rows[job_id]
            for jobs in (self._changed, self._moving):
                jobs.pop(job_id, None)
            document = documents.get(job_id)
            if document is None:
                changes.append(Change("removed", subject, {"id": job_id}))
            elif document != known:
                changes.append(Change("job", subject, document))
        return changes

    def _attempts(self, progress: dict[str, str]) -> list[Change]:
        ended = self._progress.keys() - progress.keys()
        moved = {attempt_id for attempt_id, _ in progress.items() - self._progress.items()}
        attempts = self._farm.repository.change_feed.attempts(sorted(ended | moved))
        self._progress = progress
        for attempt in attempts:
            self._note_changed(attempt.job_id)
        return [
            self._about("task", attempt.job_id, to_json_value(attempt))
            for attempt in attempts
            if attempt.job_id in self._subjects
        ]

    def _outputs(self, numbers: list[int], newest: int) -> list[Change]:
        published = self._farm.repository.change_feed.outputs(
            [number for number in numbers if number not in self._seen]
        )
        self._seen = set(numbers)
        self._newest = max([newest, *numbers])
        changes = []
        for job_id, output in published:
            self._note_changed(job_id)
            if job_id in self._subjects:
                changes.append(self._about("output", job_id, {"job_id": job_id} | to_json_value(output)))
        return changes

    def _note_moving(self, job_id: str) -> None:
        """Note whether the job changes without a sign: whatever its state, something of it may be running."""
        document = self._documents.get(job_id)
        if job_state(self._rows[job_id]) is JobState.RUNNING or (document and document["tasks"]["running"]):
            self._moving.setdefault(job_id)
        else:
            self._moving.pop(job_id, None)

    def _note_changed(self, job_id: str) -> None:
        if job_id in self._rows:
            self._changed.setdefault(job_id)

    def _about(self, kind: str, job_id: str, told: Mapping[str, object]) -> Change:
        return Change(kind, self._subjects[job_id], told)
