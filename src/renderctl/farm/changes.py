"""What changes on the farm, found out once for everybody who wants to be told."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from renderctl.documents import document
from renderctl.errors import NotFound
from renderctl.farm import Farm
from renderctl.farm.status import job_document
from renderctl.jobs import Attempt
from renderctl.permissions import Subject

#: Outputs are asked for again from so many before the newest: a commit may overtake another.
_OVERLAP = 200


@dataclass(frozen=True)
class Change:
    """Something that has changed: a job, an attempt at a task, or an output that was published."""

    kind: str  #: job, task, output, removed
    subject: Subject  #: the job, for whoever may see it
    told: dict[str, Any]


class Changes:
    """Looks again and again, and tells what is different. Not for two threads at a time."""

    def __init__(self, farm: Farm) -> None:
        self._farm = farm
        self._signs: dict[str, tuple[Any, ...]] = {}
        self._subjects: dict[str, Subject] = {}
        self._documents: dict[str, dict[str, Any]] = {}
        self._running: dict[str, Attempt] = {}
        self._newest: int | None = None
        self._began = False
        self._seen: set[int] = set()

    def look(self, only: Collection[str] | None = None) -> list[Change]:
        """What has changed since the last look; of those jobs alone."""
        return [*self._jobs(only), *self._attempts(), *self._outputs()]

    def _jobs(self, only: Collection[str] | None) -> list[Change]:
        found, changes = self._farm.repository.signs(only), []
        for sign in found:
            self._subjects[sign.id] = Subject("job", sign.id, sign.owner, frozenset([sign.project]))
            before, known = self._signs.get(sign.id), self._documents.get(sign.id)
            self._signs[sign.id] = sign.row
            moves = sign.running or _is_busy(known)
            is_news = before is not None or self._began or only is not None
            if moves or (is_news and before != sign.row):
                changes += self._told(sign.id, known)
        self._began = True
        gone = self._signs.keys() - {sign.id for sign in found}
        return changes + [change for job_id in sorted(gone) for change in self._left(job_id)]

    def _told(self, job_id: str, known: dict[str, Any] | None) -> list[Change]:
        """How the job stands now, if that is not what is known."""
        told = self._document(job_id)
        if told is None or told == known:
            return []
        self._documents[job_id] = told
        return [Change("job", self._subjects[job_id], told)]

    def _left(self, job_id: str) -> list[Change]:
        """A job is not looked at any more: it has ended a while ago, or was removed."""
        known, subject = self._documents.pop(job_id, None), self._subjects.pop(job_id)
        del self._signs[job_id]
        told = self._document(job_id)
        if told is None:
            return [Change("removed", subject, {"id": job_id})]
        return [Change("job", subject, told)] if told != known else []

    def _document(self, job_id: str) -> dict[str, Any] | None:
        try:
            return job_document(self._farm, job_id)
        except NotFound:
            return None

    def _attempts(self) -> list[Change]:
        now = {each.id: each for each in self._farm.repository.all_running_attempts()}
        ended = sorted(self._running.keys() - now.keys())
        changed = [each for each in now.values() if self._running.get(each.id) != each]
        changed += self._farm.repository.these_attempts(ended) if ended else []
        self._running = now
        return [self._about("task", each.job_id, document(each)) for each in changed if each.job_id in self._subjects]

    def _outputs(self) -> list[Change]:
        if self._newest is None:
            self._newest = self._farm.repository.newest_output()
            self._seen = set(range(max(0, self._newest - _OVERLAP), self._newest + 1))
        found = self._farm.repository.outputs_since(max(0, self._newest - _OVERLAP))
        fresh = [each for each in found if each[0] not in self._seen]
        self._seen = {number for number, _, _ in found}
        self._newest = max([self._newest, *self._seen])
        return [
            self._about("output", job_id, {"job_id": job_id} | document(output))
            for _, job_id, output in fresh
            if job_id in self._subjects
        ]

    def _about(self, kind: str, job_id: str, told: dict[str, Any]) -> Change:
        return Change(kind, self._subjects[job_id], told)


def _is_busy(document: dict[str, Any] | None) -> bool:
    """Whether something of the job is still running, whatever its state."""
    return document is not None and bool(document["tasks"]["running"])
