"""Somebody who is told of every frame while the farm is harmed, and what he must have heard in the end."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from renderctl.actors import local_actor
from renderctl.farm import Farm
from renderctl.farm.webhooks.registering import NewWebhook, add_webhook
from renderctl.farm.webhooks.telling import Teller
from renderctl.repository.hooktables import deliveries
from renderctl.webhooks import DeliveryState, Event, signature
from tests.nodes import until
from tests.receivers import Heard, Receiver

#: What makes a node tell receivers on this machine. One with a cable does not reach them, and tries in vain.
MAY_BE_TOLD = {"RENDERCTL_WEBHOOKS__ALLOW": "127.0.0.1/32", "RENDERCTL_WEBHOOKS__TIMEOUT": "1"}
_ACTOR = local_actor("chaos")


def given_webhook(farm: Farm, receiver: Receiver) -> NewWebhook:
    """One that is told of everything in the project of the jobs."""
    return add_webhook(farm, receiver.url, project="default", actor=_ACTOR)


def require_told(farm: Farm, webhook: NewWebhook, receiver: Receiver, jobs: Sequence[str]) -> int:
    """Every frame and every end of a job was written down once; whatever is untold by now can be told.

    Nothing else was heard, and all of it is signed. Returns how many were heard more than once.
    """
    for row in _rows(farm):
        if row.state != DeliveryState.DELIVERED:
            farm.repository.resend(row.id, actor=_ACTOR)
    teller = Teller(farm, "verdict")
    teller.start()
    until(lambda: {row.state for row in _rows(farm)} == {DeliveryState.DELIVERED}, 60, what="telling what is left")
    teller.stop()
    assert teller.error is None
    frames = sum(farm.repository.counts(job_id).total for job_id in jobs)
    rows = {row.id: row for row in _rows(farm)}
    assert Counter(row.event for row in rows.values()) == {
        Event.OUTPUT_PUBLISHED: frames,
        Event.JOB_SUCCEEDED: len(jobs),
    }
    assert {row.job_id for row in rows.values() if row.event == Event.JOB_SUCCEEDED} == set(jobs)
    assert {each.id for each in receiver.heard} == rows.keys()
    for each in receiver.heard:
        _require_signed(each, webhook.secret)
    outputs = {(each.said["task"]["id"], each.said["output"]["name"]) for each in receiver.heard if "task" in each.said}
    assert len(outputs) == frames
    return len(receiver.heard) - len(rows)


def _rows(farm: Farm) -> list[Any]:
    return list(farm.repository.read(lambda connection: connection.execute(select(deliveries)).all()))


def _require_signed(heard: Heard, secret: str) -> None:
    header = heard.headers["renderctl-signature"]
    assert header == signature(secret, heard.body, int(header.partition(",")[0].removeprefix("t=")))
