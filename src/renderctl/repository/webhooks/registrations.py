"""Webhooks as people set them, and what became of what they were told."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Table, func, select

from renderctl.core.actors import Actor
from renderctl.core.errors import Conflict, NotFound
from renderctl.core.ids import new_id
from renderctl.core.permissions import ALL, Visibility
from renderctl.core.quotas import UNLIMITED, Quotas
from renderctl.core.webhooks import Delivery, DeliveryState, Event, Webhook
from renderctl.repository.database import Database
from renderctl.repository.people.quotas import lock_quotas, require_webhooks
from renderctl.repository.schema.webhooks import deliveries, webhooks
from renderctl.repository.visibility import visible

#: Receivers that a job, or a project, may have: each costs its transactions a row.
MOST = 20
#: Deliveries that are deleted in one transaction.
_BATCH = 1000


class Hooking(Database):
    """Who is told."""

    def add_webhook(
        self,
        url: str,
        secret: str,
        events: tuple[Event, ...],
        *,
        project: str,
        job_id: str | None,
        actor: Actor,
        quotas: Quotas = UNLIMITED,
    ) -> Webhook:
        """Tell a receiver of a job, or of every job of a project, from now on.

        Raises Conflict when the job or the project has too many, QuotaExceeded when its owner has.

        The audit log is told where it leads, but not the address: that may be a secret of its own.
        """

        def writing(connection: Connection) -> Webhook:
            limits = quotas.of(actor.name, project)
            lock_quotas(connection, limits)
            same = (webhooks.c.project == project) & webhooks.c.job_id.is_not_distinct_from(job_id)
            if (connection.scalar(select(func.count()).select_from(webhooks).where(same)) or 0) >= MOST:
                what = f"Job {job_id}" if job_id else f"Project {project}"
                raise Conflict(f"{what} has {MOST} webhooks already.", hint="`renderctl webhooks rm ID` removes one.")
            webhook = Webhook(new_id(), url, project, job_id, events, actor.name, self.now(connection))
            row = {**vars(webhook), "job_id": job_id, "secret": secret, "events": list(events)}
            connection.execute(webhooks.insert(), {key: value for key, value in row.items() if key in webhooks.c})
            require_webhooks(connection, limits)
            told = {"project": project, "job": job_id, "events": list(events), "to": _origin(url)}
            self.audit(connection, actor, "webhook.add", webhook.id, **told)
            return webhook

        return self.deed(
            writing, done=lambda connection, audit: _to_webhook(_find(connection, webhooks, "webhook", audit.subject))
        )

    def webhook(self, ref: str, *, sight: Visibility = ALL) -> Webhook:
        """A webhook by its id or a unique beginning of it. Raises NotFound."""
        there = visible(webhooks, sight)
        return self.read(lambda connection: _to_webhook(_find(connection, webhooks, "webhook", ref, *there)))

    def webhook_secret(self, webhook_id: str) -> str:
        """With what its deliveries are signed. Raises NotFound."""
        return self.read(lambda connection: str(_find(connection, webhooks, "webhook", webhook_id).secret))

    def webhooks(self, sight: Visibility = ALL) -> list[Webhook]:
        """Those that may be seen, the oldest first."""
        query = select(webhooks).where(*visible(webhooks, sight)).order_by(webhooks.c.id)
        return self.read(lambda connection: [_to_webhook(row) for row in connection.execute(query)])

    def remove_webhook(self, webhook_id: str, *, actor: Actor) -> None:
        """Tell it nothing any more, and forget what it was told. Raises NotFound."""

        def writing(connection: Connection) -> None:
            row = _find(connection, webhooks, "webhook", webhook_id)
            connection.execute(webhooks.delete().where(webhooks.c.id == webhook_id))
            self.audit(connection, actor, "webhook.remove", webhook_id, project=row.project, job=row.job_id)

        def forgetting(connection: Connection) -> int:
            query = select(deliveries.c.id).where(deliveries.c.webhook_id == webhook_id).limit(_BATCH)
            ids = connection.scalars(query).all()
            connection.execute(deliveries.delete().where(deliveries.c.id.in_(ids)))
            return len(ids)

        self.deed(writing, done=lambda _connection, _audit: None)
        while self.write(forgetting):
            pass

    def delivery(self, ref: str, *, sight: Visibility = ALL) -> tuple[Delivery, Webhook]:
        """A delivery by its id or a unique beginning of it, and its webhook. Raises NotFound."""
        there = deliveries.c.webhook_id.in_(select(webhooks.c.id).where(*visible(webhooks, sight)))

        def reading(connection: Connection) -> tuple[Delivery, Webhook]:
            found = to_delivery(_find(connection, deliveries, "delivery", ref, there))
            return found, _to_webhook(_find(connection, webhooks, "webhook", found.webhook))

        return self.read(reading)

    def deliveries(
        self,
        webhook_ids: list[str],
        states: tuple[DeliveryState, ...] = (),
        *,
        before: str | None = None,
        limit: int = 50,
    ) -> list[Delivery]:
        """What those webhooks were told, the newest first; what is older than delivery `before`."""
        query = select(deliveries).where(deliveries.c.webhook_id.in_(webhook_ids))
        if states:
            query = query.where(deliveries.c.state.in_(states))
        if before is not None:
            query = query.where(deliveries.c.id < before)
        query = query.order_by(deliveries.c.id.desc()).limit(limit)
        return self.read(lambda connection: [to_delivery(row) for row in connection.execute(query)])

    def resend(self, delivery_id: str, *, actor: Actor) -> Delivery:
        """Try it again from the beginning, whatever became of it. Raises NotFound."""

        def writing(connection: Connection) -> Delivery:
            row = _find(connection, deliveries, "delivery", delivery_id)
            again = {"state": DeliveryState.WAITING, "tries": 0, "due_at": self.now(connection)}
            connection.execute(deliveries.update().where(deliveries.c.id == delivery_id).values(again))
            self.audit(connection, actor, "webhook.resend", delivery_id, webhook=row.webhook_id, was=row.state)
            return to_delivery(_find(connection, deliveries, "delivery", delivery_id))

        return self.deed(writing)

    def note_ping(self, ping: Delivery, *, actor: Actor) -> Delivery:
        """Keep what became of a delivery that a person has tried by hand."""
        row = {column.name: getattr(ping, column.name) for column in deliveries.c if hasattr(ping, column.name)}
        row |= {"webhook_id": ping.webhook, "job_id": ping.job, "told": {}}

        def writing(connection: Connection) -> Delivery:
            connection.execute(deliveries.insert(), row)
            self.audit(connection, actor, "webhook.test", ping.webhook, state=ping.state)
            return to_delivery(_find(connection, deliveries, "delivery", ping.id))

        return self.deed(writing, done=lambda connection, _: to_delivery(_find(connection, deliveries, "", ping.id)))


def _find(connection: Connection, table: Table, noun: str, ref: str, *there: ColumnElement[bool]) -> Row[Any]:
    """A row by its id or a unique beginning of it. Raises NotFound."""
    found = connection.execute(select(table).where(table.c.id == ref, *there)).all()
    if not found and ref:
        alike = select(table).where(table.c.id >= ref, table.c.id < f"{ref}~", *there)
        found = connection.execute(alike.limit(2)).all()
    if len(found) == 1:
        return found[0]
    problem = f"{ref!r} means more than one {noun}." if found else f"There is no {noun} {ref!r}."
    raise NotFound(problem, hint=f"`renderctl webhooks {'deliveries' if noun == 'delivery' else 'list'}` shows them.")


def _origin(url: str) -> str:
    """Scheme, host and port: the rest of an address may be known to nobody else."""
    return "/".join(url.split("/", 3)[:3]).partition("?")[0]


def _to_webhook(row: Row[Any]) -> Webhook:
    events = tuple(map(Event, row.events))
    return Webhook(row.id, row.url, row.project, row.job_id, events, row.owner, row.created_at)


def to_delivery(row: Row[Any]) -> Delivery:
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
