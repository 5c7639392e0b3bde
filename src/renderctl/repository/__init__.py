"""The database: the one truth about jobs, tasks, attempts, outputs and workers."""

from collections.abc import Callable
from datetime import datetime

from renderctl.repository.attempts.claims import Claim, Claimant, Claiming
from renderctl.repository.audit.log import Auditing
from renderctl.repository.audit.verification import Verifying
from renderctl.repository.audit_chain import SigningKeys
from renderctl.repository.blobs.access import BlobReader, Receiving
from renderctl.repository.blobs.damage import DamageReports
from renderctl.repository.blobs.gc import Collecting
from renderctl.repository.diagnostics import Examining, Sweeper
from renderctl.repository.engine import open_engine
from renderctl.repository.jobs.change_feed import Watching, WatchSnapshot, job_state
from renderctl.repository.jobs.count_checks import CountChecks
from renderctl.repository.jobs.deletion import Removing
from renderctl.repository.jobs.submission import JobSubmission
from renderctl.repository.jobs.summaries import Summarizing, Summary
from renderctl.repository.metrics import Measuring
from renderctl.repository.migrations import require_current
from renderctl.repository.models import NewModel, Uploading
from renderctl.repository.people.credentials import Admitting
from renderctl.repository.people.quotas import QuotaReports
from renderctl.repository.recovery import Sweeping
from renderctl.repository.webhooks.delivery import Delivering

__all__ = [
    "BlobReader",
    "Claim",
    "Claimant",
    "NewModel",
    "Repository",
    "Summary",
    "Sweeper",
    "WatchSnapshot",
    "job_state",
    "open_repository",
]


class Repository(
    Summarizing,
    JobSubmission,
    Uploading,
    Claiming,
    Sweeping,
    Removing,
    Collecting,
    Auditing,
    Verifying,
    Examining,
    Admitting,
    Measuring,
    Receiving,
    Watching,
    Delivering,
    QuotaReports,
    DamageReports,
    CountChecks,
):
    """Every question to the database, and every change of it, as one class for SQLite and MySQL."""


def open_repository(
    url: str, *, now: Callable[[], datetime], heartbeat_limit_s: float, seal: SigningKeys | None = None
) -> Repository:
    """The repository at `url`; a database that is empty is set up. Raises DatabaseUnavailable, DatabaseOutdated.

    `seal`: how entries of the audit log are signed, and where their end is remembered.
    """
    engine = open_engine(url)
    require_current(engine)
    return Repository(engine, now=now, heartbeat_limit_s=heartbeat_limit_s, seal=seal)
