"""The database: the one truth about jobs, tasks, attempts, outputs and workers."""

from collections.abc import Callable
from datetime import datetime

from renderctl.repository.admitting import Admitting
from renderctl.repository.auditing import Auditing
from renderctl.repository.chaining import Seal
from renderctl.repository.claiming import Claim, Claimant, Claiming
from renderctl.repository.collecting import Collecting
from renderctl.repository.count_checks import CountChecks
from renderctl.repository.damage import DamageReports
from renderctl.repository.delivering import Delivering
from renderctl.repository.engines import open_engine
from renderctl.repository.examining import Examining, Sweeper
from renderctl.repository.job_submission import JobSubmission
from renderctl.repository.measuring import Measuring
from renderctl.repository.migrations import require_current
from renderctl.repository.quotas import QuotaReports
from renderctl.repository.receiving import Reader, Receiving
from renderctl.repository.removing import Removing
from renderctl.repository.summarizing import Summarizing, Summary
from renderctl.repository.sweeping import Sweeping
from renderctl.repository.uploading import NewModel, Uploading
from renderctl.repository.verifying import Verifying
from renderctl.repository.watching import Watching

__all__ = ["Claim", "Claimant", "NewModel", "Reader", "Repository", "Summary", "Sweeper", "open_repository"]


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
    url: str, *, now: Callable[[], datetime], heartbeat_limit_s: float, seal: Seal | None = None
) -> Repository:
    """The repository at `url`; a database that is empty is set up. Raises DatabaseUnavailable, DatabaseOutdated.

    `seal`: how entries of the audit log are signed, and where their end is remembered.
    """
    engine = open_engine(url)
    require_current(engine)
    return Repository(engine, now=now, heartbeat_limit_s=heartbeat_limit_s, seal=seal)
