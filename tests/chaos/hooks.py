"""Somebody who is told of every frame while the farm is harmed, and what he must have heard in the end."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import select

from renderctl.core.actors import local_actor
from renderctl.core.states import AttemptState, JobState, TaskState
from renderctl.core.webhooks import DeliveryState, Event, signature
from renderctl.farm import Farm
from renderctl.farm.webhooks.dispatcher import WebhookDispatcher
from renderctl.farm.webhooks.registrations import NewWebhook, add_webhook
from renderctl.repository.schema.webhooks import deliveries
from tests.chaos.history import JobHistory
from tests.nodes import until
from tests.receivers import Heard, Receiver

#: What makes a node tell receivers on this machine. One with a cable does not reach them, and tries in vain.
MAY_BE_TOLD = {"RENDERCTL_WEBHOOKS__ALLOW": "127.0.0.1/32", "RENDERCTL_WEBHOOKS__TIMEOUT": "1"}
_ACTOR = local_actor("chaos")
_ENDS = {
    JobState.SUCCEEDED: Event.JOB_SUCCEEDED,
    JobState.FAILED: Event.JOB_FAILED,
    JobState.CANCELED: Event.JOB_CANCELED,
}


def given_webhook(farm: Farm, receiver: Receiver) -> NewWebhook:
    """One that is told of everything in the project of the jobs."""
    return add_webhook(farm, _ACTOR, receiver.url, project="default")


def require_told(farm: Farm, webhook: NewWebhook, receiver: Receiver, histories: Iterable[JobHistory]) -> int:
    """Every frame and every end of a job was written down once; whatever is untold by now can be told.

    Nothing else was heard, and all of it is signed. Returns how many were heard more than once.
    """
    for row in _rows(farm):
        if row.state != DeliveryState.DELIVERED:
            farm.repository.deliveries.resend(row.id, actor=_ACTOR)
    teller = WebhookDispatcher(farm, "verdict")
    teller.start()
    until(lambda: {row.state for row in _rows(farm)} == {DeliveryState.DELIVERED}, 60, what="telling what is left")
    teller.stop()
    assert teller.error is None
    rows = _rows(farm)
    told: defaultdict[str, list[Any]] = defaultdict(list)
    for row in rows:
        told[row.job_id].append(row)
    for history in histories:
        _require_told_of(history, told[history.id])
    assert {each.id for each in receiver.heard} == {row.id for row in rows}
    for each in receiver.heard:
        _require_signed(each, webhook.secret)
    return len(receiver.heard) - len(rows)


def _require_told_of(history: JobHistory, rows: Sequence[Any]) -> None:
    """Of each success of a frame, of each end of the job, and of nothing that did not happen."""
    succeeded = Counter(row.number for row in history.attempts if row.state == AttemptState.SUCCEEDED)
    published = Counter(row.told["task"]["number"] for row in rows if row.event == Event.OUTPUT_PUBLISHED)
    assert published == succeeded, history.row
    failed = [row.number for row in history.tasks if row.state == TaskState.FAILED]
    assert set(failed) <= {row.told["task"]["number"] for row in rows if row.event == Event.TASK_FAILED}, history.row
    ends = [row.event for row in rows if row.event in _ENDS.values()]
    retries = sum(row.action == "job.retry" and row.details["tasks"] > 0 for row in history.audits)
    if history.state in _ENDS:
        assert 1 <= len(ends) <= 1 + retries, (history.row, ends)
        assert _ENDS[history.state] in ends, (history.row, ends)
    else:
        assert len(ends) <= retries, (history.row, ends)


def _rows(farm: Farm) -> list[Any]:
    return list(farm.repository.database.read(lambda connection: connection.execute(select(deliveries)).all()))


def _require_signed(heard: Heard, secret: str) -> None:
    header = heard.headers["renderctl-signature"]
    assert header == signature(secret, heard.body, int(header.partition(",")[0].removeprefix("t=")))
