"""The tables of webhooks and of their outbox."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index
from sqlmodel import Field

from renderctl.repository.schema.jobs import LONG_TEXT, Row, UtcTime, table_of


class WebhookRow(Row, table=True):
    __tablename__ = "webhook"
    __table_args__ = (Index("ix_webhook_project", "project", "job_id"),)

    id: str = Field(primary_key=True, max_length=20)
    url: str = Field(max_length=2000)
    secret: str = Field(max_length=64)  # in clear text: it signs the deliveries
    project: str = Field(max_length=255)
    job_id: str | None = Field(default=None, max_length=20, index=True)  # None: all of the project
    events: list[str] = Field(sa_type=JSON)
    owner: str = Field(max_length=255, index=True)
    created_at: datetime = Field(sa_type=UtcTime)
    failing_since: datetime | None = Field(default=None, sa_type=UtcTime)  # without a success since


class DeliveryRow(Row, table=True):
    """An event for one receiver. It outlives its job; what has lost its webhook is never sent."""

    __tablename__ = "delivery"
    __table_args__ = (
        Index("ix_delivery_due", "webhook_id", "state", "due_at"),
        Index("ix_delivery_state", "state", "tried_at"),
    )

    id: str = Field(primary_key=True, max_length=24)
    webhook_id: str = Field(max_length=20)
    event: str = Field(max_length=32)
    job_id: str | None = Field(default=None, max_length=20)
    at: datetime = Field(sa_type=UtcTime)
    told: dict[str, Any] = Field(sa_type=JSON)  # what was known in the transaction of the event
    body: str | None = Field(default=None, sa_type=LONG_TEXT)  # as it was sent: the next try sends the same
    state: str = Field(max_length=16)
    tries: int = 0
    due_at: datetime | None = Field(default=None, sa_type=UtcTime)
    tried_at: datetime | None = Field(default=None, sa_type=UtcTime)
    status: int | None = None
    error: str | None = Field(default=None, max_length=255)
    answer: str | None = Field(default=None, max_length=255)


webhooks, deliveries = table_of(WebhookRow), table_of(DeliveryRow)
