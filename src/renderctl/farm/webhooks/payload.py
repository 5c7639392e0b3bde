"""What a receiver is sent: docs/howto/webhooks.md says it to people."""

import json
from typing import Any

from renderctl import __version__
from renderctl.core.errors import NotFound
from renderctl.core.serialization import to_json_value
from renderctl.core.webhooks import Delivery, Event, signature
from renderctl.farm import Farm
from renderctl.farm.jobs.status import job_document, recent_document

#: After these a job may still change: a copy of two seconds ago is as good as any, and costs a millionth frame nothing.
_ON_THE_WAY = (Event.OUTPUT_PUBLISHED, Event.TASK_FAILED)


def body_of(farm: Farm, delivery: Delivery, told: dict[str, Any]) -> str:
    """The body of a delivery: the job's document as of now, and as of the event what was told with it."""
    payload = {"id": delivery.id, "event": delivery.event, "at": to_json_value(delivery.at)}
    payload |= {"farm": farm.settings.webhooks.farm_url, **told, "job": _job(farm, delivery, told)}
    return json.dumps(payload, separators=(",", ":"))


def headers_of(delivery: Delivery, body: bytes, secret: str, at: int) -> dict[str, str]:
    """By what a receiver knows who sent it, and which one it is."""
    return {
        "Content-Type": "application/json",
        "User-Agent": f"renderctl/{__version__}",
        "Renderctl-Event": delivery.event,
        "Renderctl-Delivery": delivery.id,
        "Renderctl-Signature": signature(secret, body, at),
    }


def _job(farm: Farm, delivery: Delivery, told: dict[str, Any]) -> dict[str, Any] | None:
    """None: it is about no job. Of a job that was removed since there is only what was told."""
    if delivery.job is None:
        return None
    find = recent_document if delivery.event in _ON_THE_WAY else job_document
    known: dict[str, Any] = told["job"]
    try:
        return find(farm, delivery.job) | known
    except NotFound:
        return known
