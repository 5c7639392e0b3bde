"""The database: the one truth about jobs, tasks, attempts, outputs and workers."""

from collections.abc import Callable
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from renderctl.repository.attempts.store import Attempts
from renderctl.repository.audit.key_file import KeyFile
from renderctl.repository.blobs.access import Blobs
from renderctl.repository.database import Database, db_now
from renderctl.repository.database.audit_chain import HeadFile, SigningKeys
from renderctl.repository.database.engine import open_engine
from renderctl.repository.jobs.outputs import Outputs
from renderctl.repository.jobs.store import Jobs
from renderctl.repository.jobs.summaries import Summaries
from renderctl.repository.jobs.tasks import Tasks
from renderctl.repository.leases import Leases
from renderctl.repository.migrations import HEAD, current_revision, fence_workers, require_current, upgrade
from renderctl.repository.models import Models
from renderctl.repository.quotas import QuotaReports
from renderctl.repository.recovery import Recovery
from renderctl.repository.workers import Workers

if TYPE_CHECKING:
    from renderctl.repository.audit.log import AuditLog
    from renderctl.repository.audit.verification import AuditChain
    from renderctl.repository.blobs.damage import DamagedBlobs
    from renderctl.repository.blobs.gc import GarbageCollection
    from renderctl.repository.diagnostics import Diagnostics
    from renderctl.repository.jobs.change_feed import ChangeFeed
    from renderctl.repository.jobs.count_checks import CountChecks
    from renderctl.repository.metrics import Metrics
    from renderctl.repository.people.credential_uses import CredentialUses
    from renderctl.repository.people.invitations import Invitations
    from renderctl.repository.people.login_attempts import LoginAttempts
    from renderctl.repository.people.projects import Projects
    from renderctl.repository.people.second_factors import SecondFactors
    from renderctl.repository.people.sessions import Sessions
    from renderctl.repository.people.tokens import Tokens
    from renderctl.repository.people.users import Users
    from renderctl.repository.webhooks.delivery import Deliveries
    from renderctl.repository.webhooks.registrations import Webhooks

__all__ = [
    "HeadFile",
    "KeyFile",
    "Repository",
    "SigningKeys",
    "open_repository",
    "upgrade_database",
]


class Repository:
    """Every question to the database, and every change of it, in parts; one code for SQLite and MySQL.

    The parts that rendering needs are there at once; the others are imported when they are first used.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self.tasks = Tasks(database)
        self.leases = Leases(database)
        self.jobs = Jobs(database, self.tasks)
        self.outputs = Outputs(database)
        self.summaries = Summaries(database)
        self.attempts = Attempts(database, self.tasks)
        self.workers = Workers(database)
        self.recovery = Recovery(database, self.leases, self.tasks)
        self.models = Models(database)
        self.blobs = Blobs(database)
        self.quotas = QuotaReports(database)

    @cached_property
    def change_feed(self) -> "ChangeFeed":
        from renderctl.repository.jobs.change_feed import ChangeFeed

        return ChangeFeed(self.database)

    @cached_property
    def count_checks(self) -> "CountChecks":
        from renderctl.repository.jobs.count_checks import CountChecks

        return CountChecks(self.database)

    @cached_property
    def damaged_blobs(self) -> "DamagedBlobs":
        from renderctl.repository.blobs.damage import DamagedBlobs

        return DamagedBlobs(self.database)

    @cached_property
    def gc(self) -> "GarbageCollection":
        from renderctl.repository.blobs.gc import GarbageCollection

        return GarbageCollection(self.database)

    @cached_property
    def users(self) -> "Users":
        from renderctl.repository.people.users import Users

        return Users(self.database)

    @cached_property
    def projects(self) -> "Projects":
        from renderctl.repository.people.projects import Projects

        return Projects(self.database)

    @cached_property
    def invitations(self) -> "Invitations":
        from renderctl.repository.people.invitations import Invitations

        return Invitations(self.database)

    @cached_property
    def tokens(self) -> "Tokens":
        from renderctl.repository.people.tokens import Tokens

        return Tokens(self.database)

    @cached_property
    def sessions(self) -> "Sessions":
        from renderctl.repository.people.sessions import Sessions

        return Sessions(self.database)

    @cached_property
    def credential_uses(self) -> "CredentialUses":
        from renderctl.repository.people.credential_uses import CredentialUses

        return CredentialUses(self.database)

    @cached_property
    def login_attempts(self) -> "LoginAttempts":
        from renderctl.repository.people.login_attempts import LoginAttempts

        return LoginAttempts(self.database)

    @cached_property
    def second_factors(self) -> "SecondFactors":
        from renderctl.repository.people.second_factors import SecondFactors

        return SecondFactors(self.database)

    @cached_property
    def audit(self) -> "AuditLog":
        from renderctl.repository.audit.log import AuditLog

        return AuditLog(self.database)

    @cached_property
    def audit_chain(self) -> "AuditChain":
        from renderctl.repository.audit.verification import AuditChain

        return AuditChain(self.database)

    @cached_property
    def webhooks(self) -> "Webhooks":
        from renderctl.repository.webhooks.registrations import Webhooks

        return Webhooks(self.database)

    @cached_property
    def deliveries(self) -> "Deliveries":
        from renderctl.repository.webhooks.delivery import Deliveries

        return Deliveries(self.database, self.leases)

    @cached_property
    def metrics(self) -> "Metrics":
        from renderctl.repository.metrics import Metrics

        return Metrics(self.database)

    @cached_property
    def diagnostics(self) -> "Diagnostics":
        from renderctl.repository.diagnostics import Diagnostics

        return Diagnostics(self.database)

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
    return Repository(Database(engine, now=now, heartbeat_limit_s=heartbeat_limit_s, signing_keys=signing_keys))


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
