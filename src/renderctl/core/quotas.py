"""Quotas: how much a user or a project may use at a time, and the errors when a request exceeds it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from renderctl.core.errors import QuotaExceeded

#: The part of every hint that is for admins.
_ADMIN_HINT = "an admin of the server can raise {setting} in its config"


class Resource(StrEnum):
    """A resource that is limited."""

    JOBS = "jobs"  #: jobs that have not ended
    TASKS = "tasks"  #: tasks of jobs that have not ended
    INCOMING_FILES = "incoming_files"  #: files that were uploaded or announced, and are in no model or job yet
    INCOMING = "incoming_bytes"  #: bytes of these files
    STORED = "stored_bytes"  #: bytes of models, jobs (each file once) and outputs
    WEBHOOKS = "webhooks"


class UploadState(StrEnum):
    """The state of an uploaded file."""

    ANNOUNCED = "announced"  #: the upload has been announced
    RECEIVED = "received"  #: the upload is complete: its user may read the blob
    USED = "used"  #: and the file is part of a model or a job of its user


@dataclass(frozen=True)
class Holder:
    """The user or project that a quota applies to."""

    kind: str  #: user or project
    name: str


@dataclass(frozen=True)
class Limits:
    """The limits of a holder; None: unlimited."""

    jobs: int | None = None
    tasks: int | None = None
    incoming_files: int | None = None
    incoming_bytes: int | None = None
    stored_bytes: int | None = None
    webhooks: int | None = None


@dataclass(frozen=True)
class Quotas:
    """The limits that apply to one request."""

    user: Limits = Limits()
    project: Limits = Limits()
    job_tasks: int | None = None  #: tasks of one job

    def of(self, user: str, project: str | None) -> Mapping[Holder, Limits]:
        """Return the limits of a request by the user for the project, by holder; unlimited holders are left out."""
        found = {Holder("user", user): self.user}
        if project is not None:
            found[Holder("project", project)] = self.project
        return {holder: limits for holder, limits in found.items() if limits != Limits()}


#: For local commands, which use the farm's services directly: no quota could stop them.
UNLIMITED = Quotas()


@dataclass(frozen=True)
class Amount:
    """The usage of a resource, and its limit (None: unlimited)."""

    used: int
    allowed: int | None


@dataclass(frozen=True)
class QuotaReport:
    """The usage and limits of a user or a project."""

    kind: str  #: user or project
    name: str
    jobs: Amount  #: jobs that have not ended
    tasks: Amount  #: tasks of jobs that have not ended
    stored_bytes: Amount  #: models, jobs (each file once) and outputs
    webhooks: Amount
    incoming_files: Amount | None = None  #: uploads in no model or job yet; None for a project
    incoming_bytes: Amount | None = None  #: of these uploads

    @property
    def is_used(self) -> bool:
        """Whether any resource is in use."""
        amounts = (self.jobs, self.tasks, self.stored_bytes, self.webhooks, self.incoming_files, self.incoming_bytes)
        return any(amount is not None and amount.used > 0 for amount in amounts)


def require_quota(holder: Holder, resource: Resource, used: int, limits: Limits) -> None:
    """Require that `used`, which includes the request, is within the limit. Raises QuotaExceeded."""
    allowed: int | None = getattr(limits, resource.value)
    if allowed is None or used <= allowed:
        return
    what, remedy = _EXPLANATIONS[resource]
    amounts = [_bytes(amount) if resource.endswith("bytes") else f"{amount:,}" for amount in (used, allowed)]
    setting = f"quota.{holder.kind}_{resource.removesuffix('_bytes')}" + ("_mb" if resource.endswith("bytes") else "")
    raise QuotaExceeded(
        f"With this, {holder.kind} {holder.name} would have {amounts[0]} {what}; {amounts[1]} are allowed.",
        hint=f"{remedy}, or {_ADMIN_HINT.format(setting=setting)}. `renderctl quota` shows the usage.",
    )


def require_job_size(tasks: int, quotas: Quotas) -> None:
    """Require that a job has not too many tasks. Raises QuotaExceeded."""
    if quotas.job_tasks is not None and tasks > quotas.job_tasks:
        hint = f"Submit several jobs, or {_ADMIN_HINT.format(setting='quota.job_tasks')}."
        raise QuotaExceeded(f"The job has {tasks:,} tasks; {quotas.job_tasks:,} are allowed.", hint=hint)


_INCOMING_HINT = (
    "Make models of the uploaded files (`renderctl upload` does), wait a day or two until the others expire"
)
_EXPLANATIONS: Mapping[Resource, tuple[str, str]] = {
    Resource.JOBS: ("jobs that have not ended", "Cancel some, or wait until some have ended"),
    Resource.TASKS: ("tasks of jobs that have not ended", "Cancel some jobs, or wait until some have ended"),
    Resource.INCOMING_FILES: ("uploaded files that are in no model yet", _INCOMING_HINT),
    Resource.INCOMING: ("of uploaded files that are in no model yet", _INCOMING_HINT),
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
