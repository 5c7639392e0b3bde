"""The tables of the audit log."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, Index
from sqlmodel import Field

from renderctl.repository.schema.jobs import BigKey, Row, UtcTime, table_of


class AuditRow(Row, table=True):
    __tablename__ = "audit"
    __table_args__ = (Index("ix_audit_seq", "seq", unique=True), {"sqlite_autoincrement": True})

    id: int | None = Field(default=None, sa_column=Column(BigKey, primary_key=True))
    at: datetime = Field(sa_type=UtcTime, index=True)
    actor: str = Field(max_length=255, index=True)
    kind: str = Field(max_length=16)
    action: str = Field(max_length=64)
    subject: str = Field(max_length=255, index=True)
    details: dict[str, Any] = Field(sa_type=JSON)
    deed: str | None = Field(default=None, max_length=20, index=True)
    # entries from before there was a chain have none of these
    via: str | None = Field(default=None, max_length=16)
    address: str | None = Field(default=None, max_length=255)
    outcome: str | None = Field(default=None, max_length=16)
    key_id: str | None = Field(default=None, max_length=16)
    signature: str | None = Field(default=None, max_length=64)
    seq: int | None = Field(default=None, sa_type=BigInteger)  # its place; below 0: from before there was a chain
    mac: str | None = Field(default=None, max_length=64)  # of its place


class AuditHeadRow(Row, table=True):
    """The end of the chain of audit rows. Whoever adds one holds this row until their commit."""

    __tablename__ = "audit_head"

    id: int = Field(primary_key=True)  # always 1
    seq: int = Field(sa_type=BigInteger)
    mac: str = Field(max_length=64)
    key: str = Field(max_length=64)  # of farms whose config names none


audits, audit_heads = table_of(AuditRow), table_of(AuditHeadRow)
