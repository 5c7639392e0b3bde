"""The database: the one truth about jobs, tasks, attempts, outputs and workers."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from renderctl.repository.attempts.store import Attempts
from renderctl.repository.audit.key_file import KeyFile
from renderctl.repository.audit.log import AuditLog
from renderctl.repository.audit.verification import AuditChain
from renderctl.repository.blobs.access import Blobs
from renderctl.repository.blobs.damage import DamagedBlobs
from renderctl.repository.blobs.gc import GarbageCollection
from renderctl.repository.database import Database, db_now
from renderctl.repository.database.audit_chain import HeadFile, SigningKeys
from renderctl.repository.database.engine import open_engine
from renderctl.repository.diagnostics import Diagnostics
from renderctl.repository.jobs.change_feed import ChangeFeed
from renderctl.repository.jobs.count_checks import CountChecks
from renderctl.repository.jobs.outputs import Outputs
from renderctl.repository.jobs.store import Jobs
from renderctl.repository.jobs.summaries import Summaries
from renderctl.repository.jobs.tasks import Tasks
from renderctl.repository.leases import Leases
from renderctl.repository.metrics import Metrics
from renderctl.repository.migrations import HEAD, current_revision, fence_workers, require_current, upgrade
from renderctl.repository.models import Models
from renderctl.repository.people.credential_uses import CredentialUses
from renderctl.repository.people.invitations import Invitations
from renderctl.repository.people.login_attempts import LoginAttempts
from renderctl.repository.people.projects import Projects
from renderctl.repository.people.second_factors import SecondFactors
from renderctl.repository.people.sessions import Sessions
from renderctl.repository.people.tokens import Tokens
from renderctl.repository.people.users import Users
from renderctl.repository.quotas import QuotaReports
from renderctl.repository.recovery import Recovery
from renderctl.repository.webhooks.delivery import Deliveries
from renderctl.repository.webhooks.registrations import Webhooks
from renderctl.repository.workers import Workers

__all__ = [
    "HeadFile",
    "KeyFile",
    "Repository",
    "SigningKeys",
    "open_repository",
    "upgrade_database",
]


@dataclass(frozen=True)
class Repository:
    """Every question to the database, and every change of it, in parts; one code for SQLite and MySQL."""

    database: Database
    jobs: Jobs
    tasks: Tasks
    outputs: Outputs
    summaries: Summaries
    change_feed: ChangeFeed
    count_checks: CountChecks
    attempts: Attempts
    workers: Workers
    recovery: Recovery
    leases: Leases
    models: Models
    blobs: Blobs
    damaged_blobs: DamagedBlobs
    gc: GarbageCollection
    users: Users
    projects: Projects
    invitations: Invitations
    tokens: Tokens
    sessions: Sessions
    credential_uses: CredentialUses
    login_attempts: LoginAttempts
    second_factors: SecondFactors
    quotas: QuotaReports
    audit: AuditLog
    audit_chain: AuditChain
    webhooks: Webhooks
    deliveries: Deliveries
    metrics: Metrics
    diagnostics: Diagnostics

    @classmethod
    def of(cls, database: Database) -> "Repository":
        """The parts, all of one database."""
        tasks, leases = Tasks(database), Leases(database)
        return cls(
            database=database,
            jobs=Jobs(database, tasks),
            tasks=tasks,
            outputs=Outputs(database),
            summaries=Summaries(database),
            change_feed=ChangeFeed(database),
            count_checks=CountChecks(database),
            attempts=Attempts(database, tasks),
            workers=Workers(database),
            recovery=Recovery(database, leases, tasks),
            leases=leases,
            models=Models(database),
            blobs=Blobs(database),
            damaged_blobs=DamagedBlobs(database),
            gc=GarbageCollection(database),
            users=Users(database),
            projects=Projects(database),
            invitations=Invitations(database),
            tokens=Tokens(database),
            sessions=Sessions(database),
            credential_uses=CredentialUses(database),
            login_attempts=LoginAttempts(database),
            second_factors=SecondFactors(database),
            quotas=QuotaReports(database),
            audit=AuditLog(database),
            audit_chain=AuditChain(database),
            webhooks=Webhooks(database),
            deliveries=Deliveries(database, leases),
            metrics=Metrics(database),
            diagnostics=Diagnostics(database),
        )

    def time(self) -> datetime:
        """The time of the database, in UTC: what was leased or put after it is known by it."""
        return self.database.read(db_now)

    def close(self) -> None:
        """Close all connections."""
        self.database.close()


def open_repository(
    url: str, *, now: Callable[[], datetime], heartbeat_limit_s: float, signing_keys: SigningKeys | None = None
) -> Repository:
    """The repository at `url`; a database that is empty is set up. Raises DatabaseUnavailable, DatabaseOutdated.

    `signing_keys`: how entries of the audit log are signed, and where their end is remembered.
    """
    engine = open_engine(url)
    require_current(engine)
    return Repository.of(Database(engine, now=now, heartbeat_limit_s=heartbeat_limit_s, signing_keys=signing_keys))


def upgrade_database(url: str, *, heartbeat_limit_s: float) -> tuple[str, bool]:
    """Bring the database to the revision that this renderctl needs; that revision, and whether it had an older one.

    Raises DatabaseUnavailable, and Conflict while workers are at work with the old one.
    """
    engine = open_engine(url, patient=True)
    try:
        if current_revision(engine) in (None, HEAD):
            return upgrade(engine), False
        fence_workers(engine, heartbeat_limit_s)
        return upgrade(engine), True
    finally:
        engine.dispose()
