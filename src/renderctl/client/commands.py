"""The verbs, bound to a server: as `wiring.Connection` binds them to a farm."""

import importlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from renderctl.client.addresses import is_in_the_clear
from renderctl.client.http import HttpClient
from renderctl.client.responses import typed
from renderctl.core.errors import UsageError

if TYPE_CHECKING:
    from renderctl.core.actors import Actor
    from renderctl.core.settings import Settings
    from renderctl.farm import Farm

#: Where each verb lives, `module:function` below `renderctl.client`.
VERBS: Mapping[str, str] = {
    "add_project": "people:add_project",
    "add_user": "people:add_user",
    "add_webhook": "webhooks:add_webhook",
    "audit": "audit:audit",
    "cancel": "jobs:cancel",
    "confirm_totp": "people:confirm_totp",
    "create_token": "people:create_token",
    "disable_totp": "people:disable_totp",
    "disable_user": "people:disable_user",
    "doctor": "doctor:doctor",
    "download": "outputs:download",
    "drain_worker": "workers:drain_worker",
    "enroll_totp": "people:enroll_totp",
    "enable_user": "people:enable_user",
    "end_session": "people:end_session",
    "end_sessions": "people:end_sessions",
    "follow": "logs:follow",
    "follow_audit": "audit:follow_audit",
    "invite": "people:invite",
    "jobs": "jobs:jobs",
    "join_project": "people:join_project",
    "leave_project": "people:leave_project",
    "links": "outputs:links",
    "list_deliveries": "webhooks:list_deliveries",
    "list_invitations": "people:list_invitations",
    "list_models": "models:list_models",
    "list_projects": "people:list_projects",
    "list_sessions": "people:list_sessions",
    "list_tokens": "people:list_tokens",
    "list_users": "people:list_users",
    "list_webhooks": "webhooks:list_webhooks",
    "list_workers": "workers:list_workers",
    "logs": "logs:logs",
    "model_of": "models:model_of",
    "pause": "jobs:pause",
    "ping": "webhooks:ping",
    "priority": "jobs:priority",
    "quota": "quotas:quota",
    "remove_jobs": "jobs:remove_jobs",
    "remove_model": "models:remove_model",
    "remove_webhook": "webhooks:remove_webhook",
    "resend": "webhooks:resend",
    "resume": "jobs:resume",
    "resume_worker": "workers:resume_worker",
    "retry": "jobs:retry",
    "revoke_token": "people:revoke_token",
    "select_jobs": "jobs:select_jobs",
    "set_password": "people:set_password",
    "set_pools": "people:set_pools",
    "set_role": "people:set_role",
    "show_model": "models:show_model",
    "status": "jobs:status",
    "submit": "jobs:submit",
    "totp_status": "people:totp_status",
    "upload": "models:upload",
    "verify_audit": "audit:verify_audit",
    "watch": "jobs:watch",
    "whoami": "people:whoami",
    "withdraw_invitation": "people:withdraw_invitation",
}
#: What is done on this machine whatever the server, with a farm of its own.
LOCAL_ONLY = ("build_image", "list_images", "pull_image", "remove_image", "render", "prewarm")
#: What takes the parts of the farm themselves.
NODE_ONLY: Mapping[str, str] = {
    "add_first_admin": "`init --admin`",
    "collect": "`gc`",
    "adopt_audit": "`audit adopt`",
    "scrub": "`gc --scrub`",
    "rotate_audit_key": "`audit rotate-key`",
    "sweep_here": "`sweep`",
    "upgrade_database": "`database upgrade`",
    "worker_for": "`worker`",
}


class RemoteCommands:
    """The verbs, for whoever holds a token of the server."""

    def __init__(self, settings: "Settings", bench: "Farm", api: HttpClient, here: Any) -> None:
        """`bench` is for what is done on this machine: of it the clock, the executor and the data folder are used.

        `here` has the verbs of this machine's own farm.
        """
        self.settings = settings
        self.bench = bench
        self.api = api
        self._here = here

    @property
    def url(self) -> str:
        """The address of the server."""
        return self.api.url

    @property
    def is_in_the_clear(self) -> bool:
        """Whether a token is sent to another machine without TLS."""
        return "Authorization" in self.api.headers and is_in_the_clear(self.api.url)

    def __getattr__(self, verb: str) -> Callable[..., Any]:
        if verb in LOCAL_ONLY:
            return getattr(self._here, verb)  # type: ignore[no-any-return]
        if verb in NODE_ONLY:
            hint = "Run it there; `--config FILE` names a config of the farm's own parts."
            raise UsageError(f"{NODE_ONLY[verb]} is for nodes of the farm, not over a server.", hint=hint)
        if verb not in VERBS:
            raise AttributeError(verb)
        module, _, function = VERBS[verb].partition(":")
        return partial(getattr(importlib.import_module(f"renderctl.client.{module}"), function), self)

    @property
    def actor(self) -> "Actor":
        """Who one is to the server."""
        from renderctl.core.actors import Actor

        return typed(Actor, self.api.get("/whoami"))

    def close(self) -> None:
        """Let go of the connections."""
        self.api.close()
        self._here.close()
