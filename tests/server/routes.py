"""Every route of the API: which row of the permission table it asks, about what, and a request that is good for it."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.farms import FACTS

API = "/api/v1"
SCENE = b"BLENDER-v500 of the matrix"
DIGEST = hashlib.sha256(SCENE).hexdigest()


@dataclass(frozen=True)
class Route:
    """A route that asks the permission table."""

    action: str
    #: job, model, project, user, token, session, webhook, pool; farm: no one's; home: one's own project;
    #: list: what one may see
    about: str
    body: Callable[[Mapping[str, str]], Any] = field(default=lambda _given: None)
    query: str = ""
    also: str | None = None  #: what is asked, too, about one's own project


def _body(**said: Any) -> Callable[[Mapping[str, str]], Any]:
    return lambda _given: said


def _submitted(model: str) -> Callable[[Mapping[str, str]], dict[str, Any]]:
    """A job of one's own project, of that model."""
    return lambda given: {"model": given[model], "frames": "1", "project": given["home"]}


#: Whoever asks may be anybody.
OPEN = {
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", f"{API}/openapi.json"),
    ("POST", f"{API}/session"),
    ("POST", f"{API}/register"),
    ("POST", f"{API}/tokens/by-password"),
}
#: Whoever asks has to be somebody, and is told or does what is his own.
OWN = {
    ("GET", f"{API}/whoami"),
    ("GET", f"{API}/session"),
    ("DELETE", f"{API}/session"),
    ("DELETE", f"{API}/tokens/mine"),
    ("GET", f"{API}/events"),
}
_FILE = {"path": "shot.blend", "digest": DIGEST, "size": 1}
_MODEL = {"name": "new", "main": "shot.blend", "facts": FACTS.as_document(), "inputs": [_FILE]}

ROUTES: Mapping[tuple[str, str], Route] = {
    ("GET", "/metrics"): Route("metrics.read", "farm"),
    ("GET", "/api/tasks/{task_id}/status"): Route("job.see", "job"),
    ("GET", f"{API}/tasks/{{task_id}}/status"): Route("job.see", "job"),
    ("GET", f"{API}/jobs"): Route("job.see", "list"),
    ("POST", f"{API}/jobs"): Route(
        "job.submit", "project", lambda given: {"model": given["model"], "frames": "1", "project": given["project"]}
    ),
    ("GET", f"{API}/jobs/removable"): Route("job.remove", "list", query="older_than_s=0"),
    ("POST", f"{API}/jobs/remove"): Route("job.remove", "job", lambda given: {"jobs": [given["job"]]}),
    ("GET", f"{API}/jobs/{{job}}"): Route("job.see", "job"),
    ("DELETE", f"{API}/jobs/{{job}}"): Route("job.remove", "job"),
    ("POST", f"{API}/jobs/{{job}}/cancel"): Route("job.cancel", "job"),
    ("POST", f"{API}/jobs/{{job}}/pause"): Route("job.pause", "job"),
    ("POST", f"{API}/jobs/{{job}}/resume"): Route("job.resume", "job"),
    ("POST", f"{API}/jobs/{{job}}/retry"): Route("job.retry", "job", _body(frames="1")),
    ("PUT", f"{API}/jobs/{{job}}/priority"): Route("job.priority", "job", _body(priority=6)),
    ("GET", f"{API}/jobs/{{job}}/tasks"): Route("job.see", "job"),
    ("GET", f"{API}/jobs/{{job}}/attempts"): Route("job.see", "job"),
    ("GET", f"{API}/attempts/{{attempt_id}}/log"): Route("job.logs", "job"),
    ("GET", f"{API}/jobs/{{job}}/logs"): Route("job.logs", "job"),
    ("GET", f"{API}/jobs/{{job}}/logs/live"): Route("job.logs", "job"),
    ("GET", f"{API}/jobs/{{job}}/outputs"): Route("job.see", "job"),
    ("GET", f"{API}/jobs/{{job}}/links"): Route("job.download", "job"),
    ("GET", f"{API}/jobs/{{job}}/outputs/{{number}}/{{name}}"): Route("job.download", "job"),
    ("POST", f"{API}/uploads/wanted"): Route(
        "model.upload", "project", lambda given: {"files": [_FILE], "project": given["project"]}
    ),
    ("GET", f"{API}/uploads/{{digest}}"): Route("model.upload", "home"),
    ("PUT", f"{API}/uploads/{{digest}}"): Route("model.upload", "home", query="size=9"),
    ("POST", f"{API}/uploads/{{digest}}/promote"): Route("model.upload", "home", _body(size=9)),
    ("POST", f"{API}/models"): Route("model.upload", "project", lambda given: _MODEL | {"project": given["project"]}),
    ("POST", f"{API}/models/inspect"): Route(
        "model.upload",
        "project",
        lambda given: {"main": "shot.blend", "files": [_FILE], "project": given["project"]},
    ),
    ("GET", f"{API}/models"): Route("model.see", "list"),
    ("GET", f"{API}/models/{{model}}"): Route("model.see", "model"),
    ("DELETE", f"{API}/models/{{model}}"): Route("model.remove", "model"),
    ("GET", f"{API}/workers"): Route("worker.see", "farm"),
    ("POST", f"{API}/workers/{{worker}}/drain"): Route("worker.control", "farm"),
    ("POST", f"{API}/workers/{{worker}}/resume"): Route("worker.control", "farm"),
    ("GET", f"{API}/users"): Route("user.see", "list"),
    ("POST", f"{API}/users"): Route("user.add", "farm", lambda given: {"name": f"u{given['job']}"}),
    ("POST", f"{API}/users/invite"): Route("user.add", "farm", _body()),
    ("GET", f"{API}/invitations"): Route("invitation.see", "farm"),
    ("DELETE", f"{API}/invitations/{{invitation}}"): Route("invitation.withdraw", "farm"),
    ("PUT", f"{API}/users/{{name}}/role"): Route("user.role", "farm", _body(role="viewer")),
    ("POST", f"{API}/users/{{name}}/disable"): Route("user.disable", "farm"),
    ("POST", f"{API}/users/{{name}}/enable"): Route("user.disable", "farm"),
    ("PUT", f"{API}/users/{{name}}/password"): Route("user.password", "user", _body(password="long enough")),
    ("GET", f"{API}/users/{{name}}/totp"): Route("totp.see", "user"),
    ("POST", f"{API}/users/{{name}}/totp"): Route("totp.enroll", "user", _body(password="wrong")),
    ("POST", f"{API}/users/{{name}}/totp/confirm"): Route("totp.enroll", "user", _body(otp="000000")),
    ("POST", f"{API}/users/{{name}}/totp/disable"): Route("totp.disable", "user", _body(password="wrong")),
    ("GET", f"{API}/projects"): Route("project.see", "list"),
    ("POST", f"{API}/projects"): Route("project.change", "farm", lambda given: {"name": f"p{given['job']}"}),
    ("PUT", f"{API}/projects/{{name}}/pools"): Route("project.change", "farm", _body(pools=[])),
    ("POST", f"{API}/projects/{{name}}/join"): Route("project.change", "farm", _body(users=["mate"])),
    ("POST", f"{API}/projects/{{name}}/leave"): Route("project.change", "farm", _body(users=["nobody"])),
    ("GET", f"{API}/tokens"): Route("token.see", "list"),
    ("POST", f"{API}/tokens"): Route("token.create", "user", lambda given: {"name": "t", "user": given["user"]}),
    ("DELETE", f"{API}/tokens/{{token}}"): Route("token.revoke", "token"),
    ("GET", f"{API}/sessions"): Route("session.see", "list"),
    ("DELETE", f"{API}/sessions"): Route("session.end", "user", query="user={user}"),
    ("DELETE", f"{API}/sessions/{{session}}"): Route("session.end", "session"),
    ("GET", f"{API}/webhooks"): Route("webhook.see", "list"),
    ("POST", f"{API}/webhooks"): Route(
        "webhook.create", "job", lambda given: {"url": "https://93.184.215.14/", "job": given["job"]}
    ),
    ("GET", f"{API}/webhooks/deliveries"): Route("webhook.see", "list"),
    ("POST", f"{API}/webhooks/deliveries/{{delivery}}/resend"): Route("webhook.send", "webhook"),
    ("DELETE", f"{API}/webhooks/{{webhook}}"): Route("webhook.remove", "webhook"),
    ("GET", f"{API}/webhooks/{{webhook}}/deliveries"): Route("webhook.see", "webhook"),
    ("POST", f"{API}/webhooks/{{webhook}}/ping"): Route("webhook.send", "webhook"),
    ("GET", f"{API}/quota"): Route("quota.see", "user", query="user={user}"),
    ("GET", f"{API}/audit"): Route("audit.see", "farm"),
    ("GET", f"{API}/audit/verify"): Route("audit.see", "farm"),
}

#: Routes that name a second thing, which has a row of its own to pass.
ASIDE: Sequence[tuple[tuple[str, str], Route]] = (
    (("GET", f"{API}/events"), Route("job.see", "job", query="job={job}")),
    (("GET", f"{API}/quota"), Route("quota.see", "project", query="project={project}")),
    (("POST", f"{API}/jobs"), Route("model.see", "model", _submitted("model"), also="job.submit")),
    (
        ("POST", f"{API}/jobs"),
        Route("job.see", "job", lambda given: _submitted("own")(given) | {"after": [given["job"]]}, also="job.submit"),
    ),
    (
        ("POST", f"{API}/jobs"),
        Route("pool.use", "pool", lambda given: _submitted("own")(given) | {"pool": given["pool"]}, also="job.submit"),
    ),
)

#: What a list answers with: the name of the thing that is given, and where it is found in an entry.
LISTED: Mapping[str, tuple[str, str | None]] = {
    f"{API}/jobs": ("job", "id"),
    f"{API}/jobs/removable": ("job", None),
    f"{API}/models": ("model", "id"),
    f"{API}/users": ("user", "name"),
    f"{API}/projects": ("project", "name"),
    f"{API}/tokens": ("token", "id"),
    f"{API}/sessions": ("session", "id"),
    f"{API}/webhooks": ("webhook", "id"),
    f"{API}/webhooks/deliveries": ("delivery", "id"),
}
