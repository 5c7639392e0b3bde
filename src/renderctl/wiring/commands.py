# ruff: noqa: F401  (`farm` and `client` name their modules)
"""The verbs of the farm, typed: each with its permission, its use-case, and how it is had through a server.

`LocalCommands` are bound to a farm, `RemoteCommands` to a server; what uses either takes `Commands`.
"""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from renderctl.wiring.ports import open_farm
from renderctl.wiring.verbs import FarmBinding, FarmVerb, LazyPackage, MachineVerb

if TYPE_CHECKING:
    import renderctl.client.audit
    import renderctl.client.doctor
    import renderctl.client.jobs
    import renderctl.client.logs
    import renderctl.client.models
    import renderctl.client.outputs
    import renderctl.client.people
    import renderctl.client.quotas
    import renderctl.client.webhooks
    import renderctl.client.workers
    import renderctl.farm.admin.audit
    import renderctl.farm.admin.gc
    import renderctl.farm.admin.images
    import renderctl.farm.admin.metrics
    import renderctl.farm.admin.scrub
    import renderctl.farm.admin.sweep
    import renderctl.farm.admin.workers
    import renderctl.farm.doctor
    import renderctl.farm.jobs.access
    import renderctl.farm.jobs.control
    import renderctl.farm.jobs.download
    import renderctl.farm.jobs.logs
    import renderctl.farm.jobs.outputs
    import renderctl.farm.jobs.remove
    import renderctl.farm.jobs.status
    import renderctl.farm.jobs.submit
    import renderctl.farm.jobs.tasks
    import renderctl.farm.jobs.watch
    import renderctl.farm.models.incoming_uploads
    import renderctl.farm.models.inspect_upload
    import renderctl.farm.models.models
    import renderctl.farm.models.register_model
    import renderctl.farm.models.upload
    import renderctl.farm.people.projects
    import renderctl.farm.people.quotas
    import renderctl.farm.people.sessions
    import renderctl.farm.people.tokens
    import renderctl.farm.people.totp
    import renderctl.farm.people.users
    import renderctl.farm.prewarm
    import renderctl.farm.render
    import renderctl.farm.webhooks.registrations
    import renderctl.farm.worker.worker
    from renderctl import client, farm
    from renderctl.core.actors import Actor
    from renderctl.core.settings import Settings
    from renderctl.farm import Farm
    from renderctl.wiring.ports import Closable
else:  # a module is imported when a verb of it is first used
    client = LazyPackage("renderctl.client")
    farm = LazyPackage("renderctl.farm")


class Commands(ABC):
    """The verbs that there are whether the farm's parts are used directly or through a server."""

    settings: "Settings"

    # Jobs
    cancel = FarmVerb("job.cancel", lambda: farm.jobs.control.cancel).through_server(lambda: client.jobs.cancel)
    download = FarmVerb("job.download", lambda: farm.jobs.download.download).through_server(
        lambda: client.outputs.download
    )
    follow = FarmVerb("job.logs", lambda: farm.jobs.logs.follow).through_server(lambda: client.logs.follow)
    jobs = FarmVerb("job.see", lambda: farm.jobs.status.jobs).through_server(lambda: client.jobs.jobs)
    links = FarmVerb("job.download", lambda: farm.jobs.download.links).through_server(lambda: client.outputs.links)
    logs = FarmVerb("job.logs", lambda: farm.jobs.logs.logs).through_server(lambda: client.logs.logs)
    pause = FarmVerb("job.pause", lambda: farm.jobs.control.pause).through_server(lambda: client.jobs.pause)
    priority = FarmVerb("job.priority", lambda: farm.jobs.control.priority).through_server(lambda: client.jobs.priority)
    remove_jobs = FarmVerb("job.remove", lambda: farm.jobs.remove.remove_jobs).through_server(
        lambda: client.jobs.remove_jobs
    )
    resume = FarmVerb("job.resume", lambda: farm.jobs.control.resume).through_server(lambda: client.jobs.resume)
    retry = FarmVerb("job.retry", lambda: farm.jobs.control.retry).through_server(lambda: client.jobs.retry)
    select_jobs = FarmVerb("job.remove", lambda: farm.jobs.remove.select_jobs).through_server(
        lambda: client.jobs.select_jobs
    )
    status = FarmVerb("job.see", lambda: farm.jobs.status.status).through_server(lambda: client.jobs.status)
    submit = FarmVerb("job.submit", lambda: farm.jobs.submit.submit).through_server(lambda: client.jobs.submit)
    watch = FarmVerb("job.see", lambda: farm.jobs.watch.watch).through_server(lambda: client.jobs.watch)

    # Models
    list_models = FarmVerb("model.see", lambda: farm.models.models.list_models).through_server(
        lambda: client.models.list_models
    )
    model_of = FarmVerb("model.see", lambda: farm.models.upload.model_of).through_server(lambda: client.models.model_of)
    remove_model = FarmVerb("model.remove", lambda: farm.models.models.remove_model).through_server(
        lambda: client.models.remove_model
    )
    show_model = FarmVerb("model.see", lambda: farm.models.models.show_model).through_server(
        lambda: client.models.show_model
    )
    upload = FarmVerb("model.upload", lambda: farm.models.upload.upload).through_server(lambda: client.models.upload)

    # Users, projects, tokens, log-ins
    add_first_admin = FarmVerb("user.add", lambda: farm.people.users.add_first_admin).on_nodes("`init --admin`")
    add_project = FarmVerb("project.change", lambda: farm.people.projects.add_project).through_server(
        lambda: client.people.add_project
    )
    add_user = FarmVerb("user.add", lambda: farm.people.users.add_user).through_server(lambda: client.people.add_user)
    confirm_totp = FarmVerb("totp.enroll", lambda: farm.people.totp.confirm_totp).through_server(
        lambda: client.people.confirm_totp
    )
    create_token = FarmVerb("token.create", lambda: farm.people.tokens.create_token).through_server(
        lambda: client.people.create_token
    )
    disable_totp = FarmVerb("totp.disable", lambda: farm.people.totp.disable_totp).through_server(
        lambda: client.people.disable_totp
    )
    disable_user = FarmVerb("user.disable", lambda: farm.people.users.disable_user).through_server(
        lambda: client.people.disable_user
    )
    enable_user = FarmVerb("user.disable", lambda: farm.people.users.enable_user).through_server(
        lambda: client.people.enable_user
    )
    end_session = FarmVerb("session.end", lambda: farm.people.sessions.end_session).through_server(
        lambda: client.people.end_session
    )
    end_sessions = FarmVerb("session.end", lambda: farm.people.sessions.end_sessions).through_server(
        lambda: client.people.end_sessions
    )
    enroll_totp = FarmVerb("totp.enroll", lambda: farm.people.totp.enroll_totp).through_server(
        lambda: client.people.enroll_totp
    )
    invite = FarmVerb("user.add", lambda: farm.people.users.invite).through_server(lambda: client.people.invite)
    join_project = FarmVerb("project.change", lambda: farm.people.projects.join_project).through_server(
        lambda: client.people.join_project
    )
    leave_project = FarmVerb("project.change", lambda: farm.people.projects.leave_project).through_server(
        lambda: client.people.leave_project
    )
    list_invitations = FarmVerb("invitation.see", lambda: farm.people.users.list_invitations).through_server(
        lambda: client.people.list_invitations
    )
    list_projects = FarmVerb("project.see", lambda: farm.people.projects.list_projects).through_server(
        lambda: client.people.list_projects
    )
    list_sessions = FarmVerb("session.see", lambda: farm.people.sessions.list_sessions).through_server(
        lambda: client.people.list_sessions
    )
    list_tokens = FarmVerb("token.see", lambda: farm.people.tokens.list_tokens).through_server(
        lambda: client.people.list_tokens
    )
    list_users = FarmVerb("user.see", lambda: farm.people.users.list_users).through_server(
        lambda: client.people.list_users
    )
    quota = FarmVerb("quota.see", lambda: farm.people.quotas.quota).through_server(lambda: client.quotas.quota)
    revoke_token = FarmVerb("token.revoke", lambda: farm.people.tokens.revoke_token).through_server(
        lambda: client.people.revoke_token
    )
    set_password = FarmVerb("user.password", lambda: farm.people.users.set_password).through_server(
        lambda: client.people.set_password
    )
    set_pools = FarmVerb("project.change", lambda: farm.people.projects.set_pools).through_server(
        lambda: client.people.set_pools
    )
    set_role = FarmVerb("user.role", lambda: farm.people.users.set_role).through_server(lambda: client.people.set_role)
    totp_status = FarmVerb("totp.see", lambda: farm.people.totp.totp_status).through_server(
        lambda: client.people.totp_status
    )
    whoami = FarmVerb("self.see", lambda: farm.people.users.whoami).through_server(lambda: client.people.whoami)
    withdraw_invitation = FarmVerb("invitation.withdraw", lambda: farm.people.users.withdraw_invitation).through_server(
        lambda: client.people.withdraw_invitation
    )

    # Webhooks
    add_webhook = FarmVerb("webhook.create", lambda: farm.webhooks.registrations.add_webhook).through_server(
        lambda: client.webhooks.add_webhook
    )
    list_deliveries = FarmVerb("webhook.see", lambda: farm.webhooks.registrations.list_deliveries).through_server(
        lambda: client.webhooks.list_deliveries
    )
    list_webhooks = FarmVerb("webhook.see", lambda: farm.webhooks.registrations.list_webhooks).through_server(
        lambda: client.webhooks.list_webhooks
    )
    ping = FarmVerb("webhook.send", lambda: farm.webhooks.registrations.ping).through_server(
        lambda: client.webhooks.ping
    )
    remove_webhook = FarmVerb("webhook.remove", lambda: farm.webhooks.registrations.remove_webhook).through_server(
        lambda: client.webhooks.remove_webhook
    )
    resend = FarmVerb("webhook.send", lambda: farm.webhooks.registrations.resend).through_server(
        lambda: client.webhooks.resend
    )

    # The farm: audit log, workers, upkeep
    adopt_audit = FarmVerb("audit.adopt", lambda: farm.admin.audit.adopt_audit).on_nodes("`audit adopt`")
    audit = FarmVerb("audit.see", lambda: farm.admin.audit.audit).through_server(lambda: client.audit.audit)
    build_image = MachineVerb(lambda: farm.admin.images.build_image)
    collect = FarmVerb("farm.collect", lambda: farm.admin.gc.collect).on_nodes("`gc`")
    doctor = FarmVerb("farm.diagnose", lambda: farm.doctor.doctor).through_server(lambda: client.doctor.doctor)
    drain_worker = FarmVerb("worker.control", lambda: farm.admin.workers.drain_worker).through_server(
        lambda: client.workers.drain_worker
    )
    follow_audit = FarmVerb("audit.see", lambda: farm.admin.audit.follow_audit).through_server(
        lambda: client.audit.follow_audit
    )
    list_images = MachineVerb(lambda: farm.admin.images.list_images)
    list_workers = FarmVerb("worker.see", lambda: farm.admin.workers.list_workers).through_server(
        lambda: client.workers.list_workers
    )
    prewarm = MachineVerb(lambda: farm.prewarm.prewarm)
    pull_image = MachineVerb(lambda: farm.admin.images.pull_image)
    remove_image = MachineVerb(lambda: farm.admin.images.remove_image)
    render = FarmVerb("job.submit", lambda: farm.render.render).on_this_machine()
    resume_worker = FarmVerb("worker.control", lambda: farm.admin.workers.resume_worker).through_server(
        lambda: client.workers.resume_worker
    )
    rotate_audit_key = FarmVerb("audit.rotate", lambda: farm.admin.audit.rotate_audit_key).on_nodes(
        "`audit rotate-key`"
    )
    scrub = FarmVerb("farm.collect", lambda: farm.admin.scrub.scrub).on_nodes("`gc --scrub`")
    sweep_here = FarmVerb("farm.sweep", lambda: farm.admin.sweep.sweep_here).on_nodes("`sweep`")
    verify_audit = FarmVerb("audit.see", lambda: farm.admin.audit.verify_audit).through_server(
        lambda: client.audit.verify_audit
    )
    worker_for = FarmVerb("worker.run", lambda: farm.worker.worker.worker_for).on_nodes("`worker`")

    @property
    @abstractmethod
    def actor(self) -> "Actor":
        """Who uses the farm."""

    @property
    @abstractmethod
    def url(self) -> str:
        """The address of the server; empty where there is none on the way."""

    @property
    @abstractmethod
    def is_unencrypted(self) -> bool:
        """Whether a token is sent to another machine without TLS."""

    @abstractmethod
    def upgrade_database(self) -> str:
        """Bring the database to the revision that this renderctl needs; that revision."""

    @abstractmethod
    def close(self) -> None:
        """Let go of what was opened."""


class LocalCommands(Commands, FarmBinding):
    """The verbs, bound to a farm and to who is using it; among them those that the server offers in other forms."""

    add_model = FarmVerb("model.upload", lambda: farm.models.register_model.add_model)
    attempt_log = FarmVerb("job.logs", lambda: farm.jobs.tasks.attempt_log)
    attempts = FarmVerb("job.see", lambda: farm.jobs.tasks.attempts)
    inspect_files = FarmVerb("model.upload", lambda: farm.models.inspect_upload.inspect_files)
    is_limited = FarmVerb("self.see", lambda: farm.people.tokens.is_limited)
    links_to = FarmVerb("job.download", lambda: farm.jobs.download.links_to)
    log_follower = FarmVerb("job.logs", lambda: farm.jobs.logs.log_follower)
    may_read_metrics = FarmVerb("metrics.read", lambda: farm.admin.metrics.may_read_metrics)
    metrics = FarmVerb("metrics.read", lambda: farm.admin.metrics.metrics)
    metrics_since = FarmVerb("metrics.read", lambda: farm.admin.metrics.metrics_since)
    model_files = FarmVerb("model.see", lambda: farm.models.models.model_files)
    open_output = FarmVerb("job.download", lambda: farm.jobs.outputs.open_output)
    outputs = FarmVerb("job.see", lambda: farm.jobs.outputs.outputs)
    partial_upload = FarmVerb("model.upload", lambda: farm.models.incoming_uploads.partial_upload)
    promote = FarmVerb("model.upload", lambda: farm.models.incoming_uploads.promote)
    require_inspector = FarmVerb("model.upload", lambda: farm.models.inspect_upload.require_inspector)
    require_job_access = FarmVerb("job.see", lambda: farm.jobs.access.require_job_access)
    require_log_access = FarmVerb("job.logs", lambda: farm.jobs.access.require_log_access)
    task_status = FarmVerb("job.see", lambda: farm.jobs.tasks.task_status)
    tasks = FarmVerb("job.see", lambda: farm.jobs.tasks.tasks)
    wanted_files = FarmVerb("model.upload", lambda: farm.models.incoming_uploads.wanted_files)
    work_at_hand = FarmVerb("worker.see", lambda: farm.admin.workers.work_at_hand)

    url = ""
    is_unencrypted = False

    def __init__(self, settings: "Settings", actor: "Actor", farm: "Farm | None" = None) -> None:
        self.settings = settings
        self._actor = actor
        self._farm = farm
        self._opened: list[Closable] = []

    @property
    def actor(self) -> "Actor":
        """Who uses the farm."""
        return self._actor

    @property
    def farm(self) -> "Farm":
        """The farm of the settings; its parts open when they are first used."""
        if self._farm is None:
            self._farm = open_farm(self.settings, self._opened)
        return self._farm

    def acting(self, actor: "Actor") -> "LocalCommands":
        """The verbs of the same farm for somebody else."""
        return LocalCommands(self.settings, actor, self.farm)

    def upgrade_database(self) -> str:
        """Bring the database to the revision that this renderctl needs; that revision.

        Raises DatabaseUnavailable, and Conflict while workers are at work with the old one.
        """
        from renderctl.repository import upgrade_database

        heartbeat_limit_s = self.settings.worker.heartbeat_limit
        revision, was_outdated = upgrade_database(self.settings.database_url, heartbeat_limit_s=heartbeat_limit_s)
        if was_outdated:
            self.farm.repository.recovery.expire_silent()  # by the rules of the new code
        return revision

    def close(self) -> None:
        """Let go of what was opened."""
        while self._opened:
            self._opened.pop().close()
