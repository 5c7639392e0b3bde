"""Deliveries: taken from the outbox when they are due, kept until they are delivered or have failed for good."""

from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Row, select

from renderctl.core.actors import Actor
from renderctl.core.permissions import ALL, Visibility
from renderctl.core.webhooks import Delivery, DeliveryAttempt, DeliveryState, PreparedDelivery, Webhook, retry_delay
from renderctl.repository.database import Database, Part, add_audit_entry, db_now, durable_write, read, write
from renderctl.repository.leases import WEBHOOKS, Leases
from renderctl.repository.schema.jobs import jobs
from renderctl.repository.schema.mappers import visible
from renderctl.repository.schema.people import users
from renderctl.repository.schema.webhooks import deliveries, webhooks
from renderctl.repository.webhooks.registrations import find_row, to_webhook

#: Once a receiver has failed for so long, deliveries that are as old are given up.
GIVE_UP_AFTER = timedelta(days=1)
#: Rows that are deleted in one transaction.
_BATCH = 1000
_WAITING = deliveries.c.state == DeliveryState.WAITING
#: Webhooks of disabled users get no deliveries.
_LET_IN = webhooks.c.owner.not_in(select(users.c.name).where(users.c.disabled_at.is_not(None)))


class Deliveries(Part):
    """The deliveries of webhooks."""

    def __init__(self, database: Database, leases: Leases) -> None:
        super().__init__(database)
        self._leases = leases

    def acquire_lease(self, holder: str) -> bool:
        """Acquire or keep the lease of the dispatcher for a heartbeat limit; return False if another one holds it."""
        return self._leases.acquire(WEBHOOKS, holder) is not None

    def release_lease(self, holder: str) -> None:
        """Release the lease of the dispatcher."""
        self._leases.release(WEBHOOKS, holder)

    @read
    def find(self, connection: Connection, ref: str, *, visibility: Visibility = ALL) -> tuple[Delivery, Webhook]:
        """Return a delivery by its id or a unique prefix of it, and its webhook. Raises NotFound."""
        there = deliveries.c.webhook_id.in_(select(webhooks.c.id).where(*visible(webhooks, visibility)))
        delivery = to_delivery(find_row(connection, deliveries, "delivery", ref, there))
        return delivery, to_webhook(find_row(connection, webhooks, "webhook", delivery.webhook))

    @read
    def newest(
        self,
        connection: Connection,
        webhook_ids: list[str],
        states: tuple[DeliveryState, ...] = (),
        *,
        before: str | None = None,
        limit: int = 50,
    ) -> list[Delivery]:
        """Return deliveries of these webhooks, the newest first; with `before`: those older than that one."""
        query = select(deliveries).where(deliveries.c.webhook_id.in_(webhook_ids))
        if states:
            query = query.where(deliveries.c.state.in_(states))
        if before is not None:
            query = query.where(deliveries.c.id < before)
        query = query.order_by(deliveries.c.id.desc()).limit(limit)
        return [to_delivery(row) for row in connection.execute(query)]

    @durable_write
    def resend(self, connection: Connection, delivery_id: str, *, actor: Actor) -> Delivery:
        """Start over with a delivery, whatever became of it. Raises NotFound."""
        row = find_row(connection, deliveries, "delivery", delivery_id)
        again = {"state": DeliveryState.WAITING, "tries": 0, "due_at": db_now(connection)}
        connection.execute(deliveries.update().where(deliveries.c.id == delivery_id).values(again))
        add_audit_entry(connection, actor, "webhook.resend", delivery_id, webhook=row.webhook_id, was=row.state)
        return to_delivery(find_row(connection, deliveries, "delivery", delivery_id))

    def record_ping(self, ping: Delivery, *, actor: Actor) -> Delivery:
        """Record a delivery that a person has tried by hand."""
        row = {column.name: getattr(ping, column.name) for column in deliveries.c if hasattr(ping, column.name)}
        row |= {"webhook_id": ping.webhook, "job_id": ping.job, "told": {}}

        def writing(connection: Connection) -> Delivery:
            connection.execute(deliveries.insert(), row)
            add_audit_entry(connection, actor, "webhook.test", ping.webhook, state=ping.state)
            return to_delivery(find_row(connection, deliveries, "delivery", ping.id))

        return self._database.durable_write(
            writing, recover=lambda connection, _: to_delivery(find_row(connection, deliveries, "", ping.id))
        )

    @read
    def due_webhooks(self, connection: Connection) -> dict[str, str]:
        """Return the webhooks with a delivery that is due, each with its owner."""
        due = _WAITING & (deliveries.c.due_at <= db_now(connection))
        waits = select(deliveries.c.id).where(deliveries.c.webhook_id == webhooks.c.id, due).exists()
        due_rows = connection.execute(select(webhooks.c.id, webhooks.c.owner).where(waits, _LET_IN))
        return {row.id: row.owner for row in due_rows}

    @read
    def next_due(self, connection: Connection, webhook_id: str) -> PreparedDelivery | None:
        """Return the delivery of a webhook that is due for the longest time; None: none is."""
        now = db_now(connection)
        query = (
            select(deliveries, webhooks.c.url, webhooks.c.secret)
            .join(webhooks, webhooks.c.id == deliveries.c.webhook_id)
            .where(deliveries.c.webhook_id == webhook_id, _WAITING, deliveries.c.due_at <= now, _LET_IN)
            .order_by(deliveries.c.due_at, deliveries.c.id)
        )
        row = connection.execute(query.limit(1)).first()
        return PreparedDelivery(to_delivery(row), row.url, row.secret, row.told, row.body, now) if row else None

    @write
    def record_attempt(
        self, connection: Connection, prepared: PreparedDelivery, body: str, attempt: DeliveryAttempt, *, chance: float
    ) -> DeliveryState:
        """Record a delivery attempt; return the state of the delivery then. `chance`: 0 to 1, spreads the next
        attempts.

        A receiver that has failed for a day loses with it all that has waited as long.
        """
        now, tries = db_now(connection), prepared.delivery.tries + 1
        delay_s = None if attempt.error is None or attempt.final else retry_delay(tries, chance)
        state = DeliveryState.DELIVERED if attempt.error is None else DeliveryState.UNDELIVERABLE
        changes = {"state": state, "tries": tries, "tried_at": now, "status": attempt.status}
        changes |= {"error": attempt.error and attempt.error[:255], "answer": attempt.answer and attempt.answer[:255]}
        if delay_s is not None:
            state = DeliveryState.WAITING
            changes |= {"state": state, "due_at": now + timedelta(seconds=delay_s)}
        changes["body"] = None if attempt.error is None else body
        this = (deliveries.c.id == prepared.delivery.id) & _WAITING
        connection.execute(deliveries.update().where(this).values(changes))
        _update_failing_since(connection, prepared.delivery.webhook, attempt)
        return state

    @write
    def delete_ended(self, connection: Connection, days: float) -> int:
        """Delete some deliveries that ended so many days ago; return how many rows.

        Also deliveries of webhooks that are gone, and webhooks whose job was removed and that have no delivery.
        """
        old = db_now(connection) - timedelta(days=days)
        ended = deliveries.c.state.in_((DeliveryState.DELIVERED, DeliveryState.UNDELIVERABLE))
        orphaned = deliveries.c.webhook_id.not_in(select(webhooks.c.id))
        query = select(deliveries.c.id).where((ended & (deliveries.c.tried_at < old)) | orphaned)
        ids = connection.scalars(query.limit(_BATCH)).all()
        connection.execute(deliveries.delete().where(deliveries.c.id.in_(ids)))
        return len(ids) + _forget_webhooks(connection)


def _update_failing_since(connection: Connection, webhook_id: str, attempt: DeliveryAttempt) -> None:
    """Note since when the receiver has failed, and give up old deliveries if that is for too long."""
    this = webhooks.c.id == webhook_id
    since = connection.scalar(select(webhooks.c.failing_since).where(this))
    if attempt.error is None:
        if since is not None:
            connection.execute(webhooks.update().where(this).values(failing_since=None))
        return
    now = db_now(connection)
    if since is None:
        connection.execute(webhooks.update().where(this).values(failing_since=now))
    elif since <= now - GIVE_UP_AFTER:
        old = (deliveries.c.webhook_id == webhook_id) & _WAITING & (deliveries.c.at <= now - GIVE_UP_AFTER)
        error = f"nothing was taken for a day: {attempt.error}"[:255]
        given_up = {"state": DeliveryState.UNDELIVERABLE, "tried_at": now, "error": error}
        connection.execute(deliveries.update().where(old).values(given_up))


def _forget_webhooks(connection: Connection) -> int:
    gone = webhooks.c.job_id.is_not(None) & webhooks.c.job_id.not_in(select(jobs.c.id))
    has_deliveries = select(deliveries.c.id).where(deliveries.c.webhook_id == webhooks.c.id).exists()
    ids = connection.scalars(select(webhooks.c.id).where(gone, ~has_deliveries).limit(_BATCH)).all()
    connection.execute(webhooks.delete().where(webhooks.c.id.in_(ids)))
    return len(ids)


def to_delivery(row: Row[Any]) -> Delivery:
    """Return the delivery of a row."""
    return Delivery(
        id=row.id,
        webhook=row.webhook_id,
        event=row.event,
        job=row.job_id,
        at=row.at,
        state=DeliveryState(row.state),
        tries=row.tries,
        due_at=row.due_at if row.state == DeliveryState.WAITING else None,
        tried_at=row.tried_at,
        status=row.status,
        error=row.error,
        answer=row.answer,
    )
