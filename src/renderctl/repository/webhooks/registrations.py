"""Webhooks as people register them."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Table, func, select

from renderctl.core.actors import Actor
from renderctl.core.errors import Conflict, NotFound
from renderctl.core.ids import new_id
from renderctl.core.permissions import ALL, Visibility
from renderctl.core.quotas import UNLIMITED, Quotas
from renderctl.core.webhooks import Event, Webhook
from renderctl.repository.database import Part, add_audit_entry, db_now, read
from renderctl.repository.quotas import lock_quotas, require_webhooks
from renderctl.repository.schema.mappers import visible
from renderctl.repository.schema.webhooks import deliveries, webhooks

#: Webhooks that a job, or a project, may have: each costs its transactions a row.
MOST = 20
#: Deliveries that are deleted in one transaction.
_BATCH = 1000


class Webhooks(Part):
    """The webhooks of the farm."""

    def add(
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
        """Register a webhook for a job, or for every job of a project.

        The audit log gets scheme, host and port of the URL only: the rest may be a secret. Raises Conflict if the job
        or the project has too many, QuotaExceeded if its owner has.
        """

        def writing(connection: Connection) -> Webhook:
            limits = quotas.of(actor.name, project)
            lock_quotas(connection, limits)
            same = (webhooks.c.project == project) & webhooks.c.job_id.is_not_distinct_from(job_id)
            if (connection.scalar(select(func.count()).select_from(webhooks).where(same)) or 0) >= MOST:
                what = f"Job {job_id}" if job_id else f"Project {project}"
                raise Conflict(f"{what} has {MOST} webhooks already.", hint="`renderctl webhooks rm ID` removes one.")
            webhook = Webhook(new_id(), url, project, job_id, events, actor.name, db_now(connection))
            row = {**vars(webhook), "job_id": job_id, "secret": secret, "events": list(events)}
            connection.execute(webhooks.insert(), {key: value for key, value in row.items() if key in webhooks.c})
            require_webhooks(connection, limits)
            details = {"project": project, "job": job_id, "events": list(events), "to": _origin(url)}
            add_audit_entry(connection, actor, "webhook.add", webhook.id, **details)
            return webhook

        return self._database.durable_write(
            writing,
            recover=lambda connection, audit: to_webhook(find_row(connection, webhooks, "webhook", audit.subject)),
        )

    @read
    def find(self, connection: Connection, ref: str, *, visibility: Visibility = ALL) -> Webhook:
        """Return a webhook by its id or a unique prefix of it. Raises NotFound."""
        there = visible(webhooks, visibility)
        return to_webhook(find_row(connection, webhooks, "webhook", ref, *there))

    @read
    def secret(self, connection: Connection, webhook_id: str) -> str:
        """Return the secret that signs its deliveries. Raises NotFound."""
        return str(find_row(connection, webhooks, "webhook", webhook_id).secret)

    @read
    def all(self, connection: Connection, visibility: Visibility = ALL) -> list[Webhook]:
        """Return the webhooks that are visible, the oldest first."""
        query = select(webhooks).where(*visible(webhooks, visibility)).order_by(webhooks.c.id)
        return [to_webhook(row) for row in connection.execute(query)]

    def remove(self, webhook_id: str, *, actor: Actor) -> None:
        """Remove a webhook and its deliveries. Raises NotFound."""

        def writing(connection: Connection) -> None:
            row = find_row(connection, webhooks, "webhook", webhook_id)
            connection.execute(webhooks.delete().where(webhooks.c.id == webhook_id))
            add_audit_entry(connection, actor, "webhook.remove", webhook_id, project=row.project, job=row.job_id)

        def forgetting(connection: Connection) -> int:
            query = select(deliveries.c.id).where(deliveries.c.webhook_id == webhook_id).limit(_BATCH)
            ids = connection.scalars(query).all()
            connection.execute(deliveries.delete().where(deliveries.c.id.in_(ids)))
            return len(ids)

        self._database.durable_write(writing, recover=lambda _connection, _audit: None)
        while self._database.write(forgetting):
            pass


def find_row(connection: Connection, table: Table, noun: str, ref: str, *conditions: ColumnElement[bool]) -> Row[Any]:
    """Return a row by its id or a unique prefix of it. Raises NotFound."""
    rows = connection.execute(select(table).where(table.c.id == ref, *conditions)).all()
    if not rows and ref:
        alike = select(table).where(table.c.id >= ref, table.c.id < f"{ref}~", *conditions)
        rows = connection.execute(alike.limit(2)).all()
    if len(rows) == 1:
        return rows[0]
    problem = f"{ref!r} means more than one {noun}." if rows else f"There is no {noun} {ref!r}."
    raise NotFound(problem, hint=f"`renderctl webhooks {'deliveries' if noun == 'delivery' else 'list'}` shows them.")


def _origin(url: str) -> str:
    """Return scheme, host and port: the rest of an address may be a secret."""
    return "/".join(url.split("/", 3)[:3]).partition("?")[0]


def to_webhook(row: Row[Any]) -> Webhook:
    """Return the webhook of a row."""
    events = tuple(map(Event, row.events))
    return Webhook(row.id, row.url, row.project, row.job_id, events, row.owner, row.created_at)
