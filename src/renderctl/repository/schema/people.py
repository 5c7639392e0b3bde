"""The tables of people: users, projects, what lets them in, and who guesses at it."""

from datetime import datetime

from sqlalchemy import JSON, BigInteger, Index
from sqlmodel import Field

from renderctl.repository.schema.jobs import Row, UtcTime, table_of


class UserRow(Row, table=True):
    __tablename__ = "user"

    name: str = Field(primary_key=True, max_length=64)
    role: str = Field(max_length=16)
    password: str | None = Field(default=None, max_length=255)  # argon2id, with its salt and parameters
    created_at: datetime = Field(sa_type=UtcTime)
    disabled_at: datetime | None = Field(default=None, sa_type=UtcTime)


class ProjectRow(Row, table=True):
    __tablename__ = "project"

    name: str = Field(primary_key=True, max_length=64)
    pools: list[str] = Field(sa_type=JSON)
    created_at: datetime = Field(sa_type=UtcTime)


class MemberRow(Row, table=True):
    __tablename__ = "member"

    project: str = Field(primary_key=True, max_length=64, foreign_key="project.name")
    user: str = Field(primary_key=True, max_length=64, foreign_key="user.name", index=True)


class TokenRow(Row, table=True):
    """A token, known by the SHA-256 of it alone."""

    __tablename__ = "token"
    __table_args__ = (Index("ix_token_digest", "digest", unique=True),)

    id: str = Field(primary_key=True, max_length=20)
    user: str = Field(max_length=64, foreign_key="user.name", index=True)
    name: str = Field(max_length=64)
    digest: str = Field(max_length=64)
    scope: str = Field(max_length=16)
    created_at: datetime = Field(sa_type=UtcTime)
    expires_at: datetime | None = Field(default=None, sa_type=UtcTime)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcTime)
    used_at: datetime | None = Field(default=None, sa_type=UtcTime)
    refused_at: datetime | None = Field(default=None, sa_type=UtcTime)  # when the audit log last got an entry of it


class WebSessionRow(Row, table=True):
    __tablename__ = "web_session"
    __table_args__ = (Index("ix_web_session_id", "id", unique=True),)

    digest: str = Field(primary_key=True, max_length=64)  # SHA-256 of what the cookie holds
    id: str | None = Field(default=None, max_length=20)  # None: of an older release, and no longer valid
    user: str = Field(max_length=64, foreign_key="user.name", index=True)
    csrf: str = Field(max_length=64)
    address: str | None = Field(default=None, max_length=255)
    created_at: datetime = Field(sa_type=UtcTime)
    expires_at: datetime = Field(sa_type=UtcTime, index=True)
    seen_at: datetime | None = Field(default=None, sa_type=UtcTime)
    seen_from: str | None = Field(default=None, max_length=255)


class InvitationRow(Row, table=True):
    __tablename__ = "invitation"
    __table_args__ = (Index("ix_invitation_digest", "digest", unique=True),)

    id: str = Field(primary_key=True, max_length=20)
    digest: str = Field(max_length=64)
    role: str = Field(max_length=16)
    projects: list[str] = Field(sa_type=JSON)
    created_by: str = Field(max_length=255)
    created_at: datetime = Field(sa_type=UtcTime)
    expires_at: datetime = Field(sa_type=UtcTime)
    used_by: str | None = Field(default=None, max_length=64)
    withdrawn_at: datetime | None = Field(default=None, sa_type=UtcTime)


class GuessRow(Row, table=True):
    """Wrong passwords of late: for a user, from an address, or both."""

    __tablename__ = "guess"

    whose: str = Field(primary_key=True, max_length=255)
    failures: int
    last_at: datetime = Field(sa_type=UtcTime, index=True)


class KnownOriginRow(Row, table=True):
    """From where a user was let in: a browser, by the SHA-256 of what its cookie holds, or a network."""

    __tablename__ = "known_origin"

    user: str = Field(primary_key=True, max_length=64, foreign_key="user.name")
    origin: str = Field(primary_key=True, max_length=80, index=True)
    seen_at: datetime = Field(sa_type=UtcTime)


class TotpRow(Row, table=True):
    """The second factor of a user; asked for once it is confirmed."""

    __tablename__ = "totp"

    user: str = Field(primary_key=True, max_length=64, foreign_key="user.name")
    secret: str = Field(max_length=64)  # base32, in clear text: every code is computed from it
    created_at: datetime = Field(sa_type=UtcTime)
    confirmed_at: datetime | None = Field(default=None, sa_type=UtcTime)
    last_step: int = Field(default=0, sa_type=BigInteger)  # of the last code that was used: none is used twice


class RecoveryCodeRow(Row, table=True):
    """What lets a user in once who has lost their second factor, known by its SHA-256 alone."""

    __tablename__ = "recovery_code"

    digest: str = Field(primary_key=True, max_length=64)
    user: str = Field(max_length=64, foreign_key="user.name", index=True)


users, projects, members = table_of(UserRow), table_of(ProjectRow), table_of(MemberRow)
tokens, web_sessions = table_of(TokenRow), table_of(WebSessionRow)
known_origins, totps, recovery_codes = table_of(KnownOriginRow), table_of(TotpRow), table_of(RecoveryCodeRow)
invitations, guesses = table_of(InvitationRow), table_of(GuessRow)
