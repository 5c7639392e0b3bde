"""What changes on the farm, found out once for everybody who wants to be told."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from renderctl.core.permissions import Subject
from renderctl.core.serialization import to_json_value
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
    told: dict[str, Any]


class ChangeFeed:
    """Looks again and again, and tells what is different. Not for two threads at a time.

    A look costs the same however much there is that does not change. Where many jobs change at once, some of them are
    told a few looks later.
    """

    def __init__(self, farm: Farm) -> None:
        self._farm = farm
        self._signs: dict[str, str] = {}
        self._subjects: dict[str, Subject] = {}
        self._documents: dict[str, dict[str, Any]] = {}
        self._changed: dict[str, None] = {}  # jobs whose documents are due, the first one first
        self._moving: dict[str, None] = {}  # jobs that move without a sign, the one that was asked longest ago first
        self._progress: dict[str, float] = {}  # of running attempts
        self._newest: int | None = None
        self._began = False
        self._seen: set[int] = set()
        self._untold: list[Change] = []  # found by a look that failed after that

    def look(self, only: Collection[str] | None = None) -> list[Change]:
        """What has changed since the last look; of those jobs alone."""
        self._untold += self._read_signs(only)
        self._untold += self._attempts(only)
        self._untold += self._outputs()
        changes, self._untold = [*self._jobs(), *self._untold], []
        return changes

    def _read_signs(self, only: Collection[str] | None) -> list[Change]:
        """Note which jobs have changed; what is to be told of those that are not looked at any more."""
        signs = self._farm.repository.signs(only)
        for sign in signs:
            self._subjects[sign.id] = Subject("job", sign.id, sign.owner, frozenset([sign.project]))
            before = self._signs.get(sign.id)
            self._signs[sign.id] = sign.row
            is_news = before is not None or self._began or only is not None
            if is_news and before != sign.row:
                self._changed[sign.id] = None
            if sign.running or _is_busy(self._documents.get(sign.id)):
                self._moving.setdefault(sign.id)
            else:
                self._moving.pop(sign.id, None)
        self._began = True
        gone = sorted(self._signs.keys() - {sign.id for sign in signs})
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
            told = documents.get(job_id)
            if told is not None and told != self._documents.get(job_id):
                self._documents[job_id] = told
                changes.append(Change("job", self._subjects[job_id], told))
        return changes

    def _left(self, job_ids: Sequence[str]) -> list[Change]:
        """Jobs are not looked at any more: they have ended a while ago, or were removed."""
        documents, changes = job_documents(self._farm, job_ids), []
        for job_id in job_ids:
            known, subject = self._documents.pop(job_id, None), self._subjects.pop(job_id)
            del self._signs[job_id]
            for jobs in (self._changed, self._moving):
                jobs.pop(job_id, None)
            told = documents.get(job_id)
            if told is None:
                changes.append(Change("removed", subject, {"id": job_id}))
            elif told != known:
                changes.append(Change("job", subject, told))
        return changes

    def _attempts(self, only: Collection[str] | None) -> list[Change]:
        progress = self._farm.repository.running_progress(only)
        ended = self._progress.keys() - progress.keys()
        moved = {each for each, reached in progress.items() if self._progress.get(each) != reached}
        attempts = self._farm.repository.these_attempts(sorted(ended | moved))
        self._progress = progress
        for attempt in attempts:
            self._note_changed(attempt.job_id)
        return [
            self._about("task", each.job_id, to_json_value(each)) for each in attempts if each.job_id in self._subjects
        ]

    def _outputs(self) -> list[Change]:
        if self._newest is None:
            self._newest = self._farm.repository.newest_output()
            self._seen = set(range(max(0, self._newest - _OVERLAP), self._newest + 1))
        numbers = self._farm.repository.output_numbers_since(max(0, self._newest - _OVERLAP))
        published = self._farm.repository.these_outputs([number for number in numbers if number not in self._seen])
        self._seen = set(numbers)
        self._newest = max([self._newest, *numbers])
        changes = []
        for job_id, output in published:
            self._note_changed(job_id)
            if job_id in self._subjects:
                changes.append(self._about("output", job_id, {"job_id": job_id} | to_json_value(output)))
        return changes

    def _note_changed(self, job_id: str) -> None:
        if job_id in self._signs:
            self._changed.setdefault(job_id)

    def _about(self, kind: str, job_id: str, told: dict[str, Any]) -> Change:
        return Change(kind, self._subjects[job_id], told)


def _is_busy(document: dict[str, Any] | None) -> bool:
    """Whether something of the job is still running, whatever its state."""
    return document is not None and bool(document["tasks"]["running"])
