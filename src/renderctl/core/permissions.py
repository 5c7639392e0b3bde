"""Who may do what: one table of permissions, which every use-case asks, for the command line and the API alike.

A row says for each role what a user may do with their own things, with things of their projects, and with all others,
in this order: `+` allowed, `-` refused, `?` hidden: refused as if the thing did not exist.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from renderctl.core.actors import Actor, Role, Scope
from renderctl.core.errors import NotAllowed, NotFound


class Relation(StrEnum):
    """How an actor is related to a subject."""

    OWN = "own"
    PROJECT = "same project"
    OTHER = "other"


class Verdict(StrEnum):
    """The outcome of a permission check."""

    ALLOWED = "allowed"
    REFUSED = "refused"
    HIDDEN = "hidden"  #: refused as if the subject did not exist


@dataclass(frozen=True)
class Rule:
    """One row of the table."""

    summary: str  #: what it allows, as shown to users
    scope: Scope  #: the least scope of a token
    viewer: str
    artist: str
    operator: str = "+++"
    admin: str = "+++"

    def verdict(self, role: Role, relation: Relation) -> Verdict:
        """Return the row's verdict for a role and a relation."""
        return _VERDICTS[getattr(self, role.value)[list(Relation).index(relation)]]


_VERDICTS = {"+": Verdict.ALLOWED, "-": Verdict.REFUSED, "?": Verdict.HIDDEN}
_READ, _WORK, _ALL = Scope.READ, Scope.WORK, Scope.ALL

TABLE: Mapping[str, Rule] = {
    #            summary, scope, viewer, artist, operator, admin
    "job.see": Rule("See a job, its status and why it waits", _READ, "++?", "++?"),
    "job.logs": Rule("Read what Blender printed", _READ, "++?", "++?"),
    "job.download": Rule("Download a job's images, or get links to them", _READ, "++?", "++?"),
    "job.submit": Rule("Submit a job to a project", _WORK, "--?", "++?"),
    "job.cancel": Rule("Cancel a job", _WORK, "--?", "+-?"),
    "job.pause": Rule("Pause a job", _WORK, "--?", "+-?"),
    "job.resume": Rule("Resume a paused job", _WORK, "--?", "+-?"),
    "job.retry": Rule("Retry frames", _WORK, "--?", "+-?"),
    "job.priority": Rule("Change a job's priority", _WORK, "--?", "+-?"),
    "webhook.create": Rule("Create a webhook for a job", _WORK, "--?", "+-?"),
    "job.remove": Rule("Remove a finished job and its images", _WORK, "--?", "+-?"),
    "pool.use": Rule("Submit to a pool (same project: one that the project may use)", _WORK, "---", "++-"),
    "model.see": Rule("See and render a model", _READ, "++?", "++?"),
    "model.upload": Rule("Upload a model to a project", _WORK, "--?", "++?"),
    "model.remove": Rule("Remove a model that no job uses", _WORK, "--?", "+-?"),
    "worker.see": Rule("See the workers", _READ, "+++", "+++"),
    "worker.control": Rule("Drain and resume workers", _ALL, "---", "---"),
    "worker.run": Rule("Run a worker", _ALL, "---", "---"),
    "farm.diagnose": Rule("Run diagnostics (`doctor`)", _ALL, "---", "---"),
    "metrics.read": Rule("Read the metrics of the farm", _READ, "---", "---"),
    "farm.sweep": Rule("Recover the work of lost workers now", _ALL, "---", "---"),
    "farm.collect": Rule("Collect garbage in the store", _ALL, "---", "---"),
    "user.see": Rule("See a user, their role and projects", _READ, "++?", "++?"),
    "user.add": Rule("Add and invite users", _ALL, "---", "---", "---"),
    "invitation.see": Rule("See the open invitations", _READ, "---", "---", "---"),
    "invitation.withdraw": Rule("Withdraw an invitation", _ALL, "---", "---", "---"),
    "user.role": Rule("Change a user's role", _ALL, "---", "---", "---"),
    "user.disable": Rule("Disable and enable a user", _ALL, "---", "---", "---"),
    "user.password": Rule("Change a password", _ALL, "+--", "+--", "+--"),
    "totp.see": Rule("See whether a user has a second factor", _READ, "+--", "+--", "+--"),
    # nobody else does: the secret is the user's own
    "totp.enroll": Rule("Set up a second factor", _ALL, "+--", "+--", "+--", "+--"),
    "totp.disable": Rule("Disable a second factor", _ALL, "+--", "+--", "+--"),
    "project.see": Rule("See a project, its members and pools", _READ, "++?", "++?"),
    "project.change": Rule("Add projects, change their members and pools", _ALL, "---", "---", "---"),
    "quota.see": Rule("See the usage and quota of a user or a project", _READ, "++?", "++?"),
    # not for members: it reports the jobs of others, and stays when its owner leaves the project
    "webhook.create_for_project": Rule("Create a webhook for all jobs of a project", _WORK, "--?", "--?"),
    "token.see": Rule("See a user's tokens", _READ, "+??", "+??", "+??"),
    "token.create": Rule("Create a token for a user", _ALL, "+??", "+??", "+??"),
    "token.revoke": Rule("Revoke a token", _WORK, "+??", "+??", "+??"),
    "session.see": Rule("See a user's sessions", _READ, "+??", "+??", "+??"),
    "session.end": Rule("End a user's session", _WORK, "+??", "+??", "+??"),
    "webhook.see": Rule("See a webhook and its deliveries", _READ, "+??", "+??"),
    "webhook.remove": Rule("Remove a webhook", _WORK, "-??", "+??"),
    "webhook.send": Rule("Ping a webhook, and resend a delivery", _WORK, "-??", "+??"),
    "self.see": Rule("See one's own user, role and projects", _READ, "+++", "+++"),
    "audit.adopt": Rule("Adopt entries from before the audit log was chained", _ALL, "---", "---", "---"),
    "audit.rotate": Rule("Replace the key of the audit log", _ALL, "---", "---", "---"),
    "audit.see": Rule("Read the audit log, and verify it", _READ, "---", "---", "---"),
}


#: Former names of actions, and what they are called now. Entries of the audit log keep them: its chain would break.
FORMER_NAMES: Mapping[str, str] = {
    "job.tell": "webhook.create",
    "project.tell": "webhook.create_for_project",
    "worker.steer": "worker.control",
    "farm.measure": "metrics.read",
    "farm.check": "farm.diagnose",
}


@dataclass(frozen=True)
class Subject:
    """What an action is done to."""

    kind: str  #: job, model, user, …, or farm
    id: str
    owner: str | None = None
    projects: frozenset[str] = frozenset()

    @classmethod
    def in_project(cls, kind: str, id: str, project: str, owner: str | None = None) -> "Subject":
        """A subject that belongs to one project; a project belongs to itself."""
        return cls(kind, id, owner, frozenset([project]))

    def relation(self, actor: Actor) -> Relation:
        """Return how the actor is related to the subject."""
        if self.owner is not None and self.owner == actor.name:
            return Relation.OWN
        return Relation.PROJECT if self.projects & actor.projects else Relation.OTHER


#: The farm as a whole.
FARM = Subject("farm", "farm")


@dataclass(frozen=True)
class Visibility:
    """Which things an actor may use: those of one owner, those of some projects, or all."""

    owner: str | None = None
    projects: frozenset[str] = frozenset()
    everything: bool = False


ALL = Visibility(everything=True)


def verdict(actor: Actor, action: str, subject: Subject) -> Verdict:
    """What the table says of the actor and the subject. Raises KeyError for an action without a row."""
    rule = TABLE[action]
    of_role = rule.verdict(actor.role, subject.relation(actor))
    in_scope = list(Scope).index(actor.scope) >= list(Scope).index(rule.scope)
    return Verdict.REFUSED if of_role is Verdict.ALLOWED and not in_scope else of_role


def authorize(actor: Actor, action: str, subject: Subject = FARM) -> None:
    """Raises NotAllowed unless the actor may do it, and NotFound where they may not know that the subject exists."""
    answer = verdict(actor, action, subject)
    if answer is Verdict.HIDDEN:
        raise NotFound(f"There is no {subject.kind} {subject.id!r}.")
    if answer is Verdict.REFUSED:
        what = TABLE[action].summary
        if TABLE[action].verdict(actor.role, subject.relation(actor)) is Verdict.ALLOWED:
            raise NotAllowed(f"This token may not: {what}.", hint=f"Its scope is {actor.scope}; it takes another one.")
        on = "" if subject is FARM else f" ({subject.kind} {subject.id})"
        raise NotAllowed(f"{actor.name} may not: {what}{on}.", hint=f"The role is {actor.role}; an admin can help.")


def visibility_of(actor: Actor, action: str) -> Visibility:
    """The things with which the actor may do it: for queries that return many."""
    rule = TABLE[action]
    allowed = {relation for relation in Relation if rule.verdict(actor.role, relation) is Verdict.ALLOWED}
    if Relation.OTHER in allowed:
        return ALL
    projects = actor.projects if Relation.PROJECT in allowed else frozenset()
    return Visibility(actor.name if Relation.OWN in allowed else None, projects)
