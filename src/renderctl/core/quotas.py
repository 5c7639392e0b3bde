"""Quotas: how much of the farm a user or a project may take up at a time, and saying so when it would be more."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from renderctl.core.errors import QuotaExceeded

#: What an admin can do about every quota.
_ADMIN = "an admin of the server can raise {setting} in its config"


class Resource(StrEnum):
    """What is counted."""

    JOBS = "jobs"  #: that have not ended
    TASKS = "tasks"  #: of jobs that have not ended
    INCOMING_FILES = "incoming_files"  #: sent or announced, and in no model or job yet
    INCOMING = "incoming_bytes"  #: of these
    STORED = "stored_bytes"  #: files of models and jobs, each once, and what jobs have rendered
    WEBHOOKS = "webhooks"


class UploadState(StrEnum):
    """What is known of a file that somebody sends."""

    ANNOUNCED = "announced"  #: they are going to send it
    RECEIVED = "received"  #: all of it was sent: they may read the blob
    USED = "used"  #: likewise, and it is part of a model or a job of theirs


@dataclass(frozen=True)
class Holder:
    """Whose quota it is."""

    kind: str  #: user or project
    name: str


@dataclass(frozen=True)
class Limits:
    """How much a holder may have of each; None: no limit."""

    jobs: int | None = None
    tasks: int | None = None
    incoming_files: int | None = None
    incoming_bytes: int | None = None
    stored_bytes: int | None = None
    webhooks: int | None = None


@dataclass(frozen=True)
class Quotas:
    """What holds for one request."""

    user: Limits = Limits()
    project: Limits = Limits()
    job_tasks: int | None = None  #: of one job

    def of(self, user: str, project: str | None) -> Mapping[Holder, Limits]:
        """The limits that a request of the user for the project has to keep, those without any left out."""
        found = {Holder("user", user): self.user}
        if project is not None:
            found[Holder("project", project)] = self.project
        return {holder: limits for holder, limits in found.items() if limits != Limits()}


#: For whoever uses the farm's parts directly: nothing could stop them.
UNLIMITED = Quotas()


@dataclass(frozen=True)
class Amount:
    """How much of something there is, and how much there may be; None: no limit."""

    used: int
    allowed: int | None


@dataclass(frozen=True)
class QuotaReport:
    """What a user or a project uses of the farm, and may use."""

    kind: str  #: user or project
    name: str
    jobs: Amount  #: that have not ended
    tasks: Amount  #: of jobs that have not ended
    stored_bytes: Amount  #: files of models and jobs, each once, and what jobs have rendered
    webhooks: Amount
    incoming_files: Amount | None = None  #: sent or announced, and in no model or job yet; None: belongs to users alone
    incoming_bytes: Amount | None = None  #: of these

    @property
    def is_used(self) -> bool:
        """Whether anything is used."""
        amounts = (self.jobs, self.tasks, self.stored_bytes, self.webhooks, self.incoming_files, self.incoming_bytes)
        return any(amount is not None and amount.used > 0 for amount in amounts)


def require_quota(holder: Holder, resource: Resource, used: int, limits: Limits) -> None:
    """Refuse what would be more than is allowed. `used`: with what is asked for. Raises QuotaExceeded."""
    allowed: int | None = getattr(limits, resource.value)
    if allowed is None or used <= allowed:
        return
    what, remedy = _WORDS[resource]
    amounts = [_bytes(amount) if resource.endswith("bytes") else f"{amount:,}" for amount in (used, allowed)]
    setting = f"quota.{holder.kind}_{resource.removesuffix('_bytes')}" + ("_mb" if resource.endswith("bytes") else "")
    raise QuotaExceeded(
        f"With this, {holder.kind} {holder.name} would have {amounts[0]} {what}; {amounts[1]} are allowed.",
        hint=f"{remedy}, or {_ADMIN.format(setting=setting)}. `renderctl quota` shows what is used.",
    )


def require_job_size(tasks: int, quotas: Quotas) -> None:
    """Refuse a job of too many tasks. Raises QuotaExceeded."""
    if quotas.job_tasks is not None and tasks > quotas.job_tasks:
        hint = f"Submit several jobs, or {_ADMIN.format(setting='quota.job_tasks')}."
        raise QuotaExceeded(f"The job has {tasks:,} tasks; {quotas.job_tasks:,} are allowed.", hint=hint)


_ON_THEIR_WAY = "Make models of what was sent (`renderctl upload` does), wait a day or two until the rest is forgotten"
_WORDS: Mapping[Resource, tuple[str, str]] = {
    Resource.JOBS: ("jobs that have not ended", "Cancel some, or wait until some have ended"),
    Resource.TASKS: ("tasks of jobs that have not ended", "Cancel some jobs, or wait until some have ended"),
    Resource.INCOMING_FILES: ("files on their way to models", _ON_THEIR_WAY),
    Resource.INCOMING: ("of files on their way to models", _ON_THEIR_WAY),
    Resource.STORED: (
        "of models and images in the store",
        "Remove models (`renderctl models rm`) and ended jobs (`renderctl jobs rm`)",
    ),
    Resource.WEBHOOKS: ("webhooks", "Remove some (`renderctl webhooks rm`)"),
}


def _bytes(amount: int) -> str:
    size = float(amount)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:,.0f} {unit}" if unit == "bytes" else f"{size:,.1f} {unit}"
        size /= 1024
    return f"{size:,.1f} TiB"
