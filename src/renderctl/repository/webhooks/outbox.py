"""The outbox of webhooks: events are added in the transaction in which they occur."""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, bindparam, select, union_all

from renderctl.core.ids import new_token
from renderctl.core.serialization import to_json_value
from renderctl.core.webhooks import DeliveryState, Event
from renderctl.repository.database import db_now
from renderctl.repository.schema.jobs import jobs
from renderctl.repository.schema.webhooks import deliveries, webhooks

#: The columns of a job as they are now; the rest of its document is added when the delivery is sent.
_FACTS = (
    *(jobs.c.id, jobs.c.name, jobs.c.state, jobs.c.model, jobs.c.project, jobs.c.owner, jobs.c.pool),
    *(jobs.c.created_at, jobs.c.started_at, jobs.c.finished_at, jobs.c.error),
)
_LISTENING = select(webhooks.c.id.label("webhook_id"), webhooks.c.events, *_FACTS)
_TO_THE_JOB = webhooks.c.job_id == jobs.c.id
_TO_ALL = (webhooks.c.project == jobs.c.project) & webhooks.c.job_id.is_(None)
# Run for every completed frame: built once, and answered from indexes.
_LISTENERS = union_all(
    *(_LISTENING.join(webhooks, heard).where(jobs.c.id == bindparam("job")) for heard in (_TO_THE_JOB, _TO_ALL))
)


def add_event(connection: Connection, event: Event, job_id: str, subjects: Iterable[Mapping[str, Any]] = ({},)) -> None:
    """Add a delivery for each webhook that listens and each subject of the event.

    The subjects are not iterated if no webhook listens.
    """
    listeners = [row for row in connection.execute(_LISTENERS, {"job": job_id}) if event in row.events]
    if not listeners:
        return
    now = db_now(connection)
    job = to_json_value({column.name: getattr(listeners[0], column.name) for column in _FACTS})
    common = {"event": event, "job_id": job_id, "at": now, "due_at": now, "state": DeliveryState.WAITING}
    payloads = [{"job": job, **to_json_value(subject)} for subject in subjects]
    rows = [
        {**common, "webhook_id": row.webhook_id, "told": payload, "tries": 0}
        for payload in payloads
        for row in listeners
    ]
    ids = sorted(new_token() for _ in rows)  # deliveries of one moment keep their order, too
    if rows:
        connection.execute(deliveries.insert(), [row | {"id": key} for row, key in zip(rows, ids, strict=True)])
