"""Who may do what: one table, which every use-case asks, and so the command line as well as the API.

A row says of each role what it may do with what is its own (o), with what belongs to one of its projects (p), and with
all the rest (r), in this order: `+` allowed, `-` refused, `?` hidden: refused as if it did not exist.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from renderctl.core.actors import Actor, Role, Scope
from renderctl.core.errors import NotAllowed, NotFound


class Relation(StrEnum):
    """What somebody has to do with something."""

    OWN = "own"
    PROJECT = "same project"
    OTHER = "other"


class Verdict(StrEnum):
    ALLOWED = "allowed"
    REFUSED = "refused"
    HIDDEN = "hidden"


@dataclass(frozen=True)
class Rule:
    """A row of the table."""

    about: str  #: what one may do, for people
    scope: Scope  #: what a token must at least be good for
    viewer: str
    artist: str
    operator: str = "+++"
    admin: str = "+++"

    def verdict(self, role: Role, relation: Relation) -> Verdict:
        return _SIGNS[getattr(self, role.value)[list(Relation).index(relation)]]


_SIGNS = {"+": Verdict.ALLOWED, "-": Verdict.REFUSED, "?": Verdict.HIDDEN}
_READ, _WORK, _ALL = Scope.READ, Scope.WORK, Scope.ALL

TABLE: Mapping[str, Rule] = {
    #            about, scope, viewer, artist, operator, admin
    "job.see": Rule("See a job, how it stands and why it waits", _READ, "++?", "++?"),
    "job.logs": Rule("Read what Blender printed", _READ, "++?", "++?"),
    "job.download": Rule("Fetch a job's images, or addresses of them", _READ, "++?", "++?"),
    "job.submit": Rule("Submit a job to a project", _WORK, "--?", "++?"),
    "job.cancel": Rule("Cancel a job", _WORK, "--?", "+-?"),
    "job.pause": Rule("Pause a job", _WORK, "--?", "+-?"),
    "job.resume": Rule("Go on with a paused job", _WORK, "--?", "+-?"),
    "job.retry": Rule("Render frames again", _WORK, "--?", "+-?"),
    "job.priority": Rule("Change a job's priority", _WORK, "--?", "+-?"),
    "job.tell": Rule("Have a job told to a receiver (a webhook)", _WORK, "--?", "+-?"),
    "job.remove": Rule("Remove an ended job and its images", _WORK, "--?", "+-?"),
    "pool.use": Rule("Submit to a pool (same project: one that the project may use)", _WORK, "---", "++-"),
    "model.see": Rule("See a model, and render it", _READ, "++?", "++?"),
    "model.upload": Rule("Upload a model to a project", _WORK, "--?", "++?"),
    "model.remove": Rule("Remove a model that no job uses", _WORK, "--?", "+-?"),
    "worker.see": Rule("See the workers", _READ, "+++", "+++"),
    "worker.steer": Rule("Drain and resume workers", _ALL, "---", "---"),
    "worker.run": Rule("Work for the farm", _ALL, "---", "---"),
    "farm.check": Rule("Have every part checked", _ALL, "---", "---"),
    "farm.measure": Rule("Read the figures of the whole farm", _READ, "---", "---"),
    "farm.sweep": Rule("Repair now what crashed", _ALL, "---", "---"),
    "farm.collect": Rule("Free the store of what nothing points to", _ALL, "---", "---"),
    "user.see": Rule("See a user, his role and projects", _READ, "++?", "++?"),
    "user.add": Rule("Add and invite users", _ALL, "---", "---", "---"),
    "invitation.see": Rule("See the open invitations", _READ, "---", "---", "---"),
    "invitation.withdraw": Rule("Withdraw an invitation", _ALL, "---", "---", "---"),
    "user.role": Rule("Change what role a user has", _ALL, "---", "---", "---"),
    "user.disable": Rule("Disable a user, and enable him again", _ALL, "---", "---", "---"),
    "user.password": Rule("Change a password", _ALL, "+--", "+--", "+--"),
    "totp.see": Rule("See whether a user has a second factor", _READ, "+--", "+--", "+--"),
    # nobody sets one up for others: its secret is theirs
    "totp.enroll": Rule("Set up a second factor", _ALL, "+--", "+--", "+--", "+--"),
    "totp.disable": Rule("Take a second factor away", _ALL, "+--", "+--", "+--"),
    "project.see": Rule("See a project, its members and pools", _READ, "++?", "++?"),
    "project.change": Rule("Add projects, change their members and pools", _ALL, "---", "---", "---"),
    "quota.see": Rule("See what a user or a project uses of the farm, and may use", _READ, "++?", "++?"),
    # not for members: it tells of everybody's jobs, and outlives the membership of whoever has set it up
    "project.tell": Rule("Have all jobs of a project told to a receiver", _WORK, "--?", "--?"),
    "token.see": Rule("See what tokens a user has", _READ, "+??", "+??", "+??"),
    "token.create": Rule("Make a token for a user", _ALL, "+??", "+??", "+??"),
    "token.revoke": Rule("Revoke a token", _WORK, "+??", "+??", "+??"),
    "session.see": Rule("See from which browsers a user is logged in", _READ, "+??", "+??", "+??"),
    "session.end": Rule("End a user's log-in from a browser", _WORK, "+??", "+??", "+??"),
    "webhook.see": Rule("See a webhook, and what became of its deliveries", _READ, "+??", "+??"),
    "webhook.remove": Rule("Remove a webhook", _WORK, "-??", "+??"),
    "webhook.send": Rule("Test a webhook, and send a delivery again", _WORK, "-??", "+??"),
    "self.see": Rule("See who one is to the farm", _READ, "+++", "+++"),
    "audit.adopt": Rule("Vouch for entries from before the audit log was chained", _ALL, "---", "---", "---"),
    "audit.rotate": Rule("Replace the key of the audit log", _ALL, "---", "---", "---"),
    "audit.see": Rule("Read the audit log, and verify it", _READ, "---", "---", "---"),
}


@dataclass(frozen=True)
class Subject:
    """What something is done to."""

    kind: str  #: job, model, user, …, or farm
    id: str
    owner: str | None = None
    projects: frozenset[str] = frozenset()

    @classmethod
    def in_project(cls, kind: str, id: str, project: str, owner: str | None = None) -> "Subject":
        """A subject that belongs to one project; a project belongs to itself."""
        return cls(kind, id, owner, frozenset([project]))

    def relation(self, actor: Actor) -> Relation:
        if self.owner is not None and self.owner == actor.name:
            return Relation.OWN
        return Relation.PROJECT if self.projects & actor.projects else Relation.OTHER


#: What concerns all.
FARM = Subject("farm", "farm")


@dataclass(frozen=True)
class Visibility:
    """Which things somebody may do something with: those of an owner, those of projects, or every one."""

    owner: str | None = None
    projects: frozenset[str] = frozenset()
    everything: bool = False


ALL = Visibility(everything=True)


def verdict(actor: Actor, action: str, subject: Subject) -> Verdict:
    """What the table says. An action without a row is a mistake in the program: KeyError."""
    rule = TABLE[action]
    found = rule.verdict(actor.role, subject.relation(actor))
    covered = list(Scope).index(actor.scope) >= list(Scope).index(rule.scope)
    return Verdict.REFUSED if found is Verdict.ALLOWED and not covered else found


def authorize(actor: Actor, action: str, subject: Subject = FARM) -> None:
    """Let the actor do it. Raises NotAllowed, and NotFound where he may not even know that it exists."""
    found = verdict(actor, action, subject)
    if found is Verdict.HIDDEN:
        raise NotFound(f"There is no {subject.kind} {subject.id!r}.")
    if found is Verdict.REFUSED:
        what = TABLE[action].about
        if TABLE[action].verdict(actor.role, subject.relation(actor)) is Verdict.ALLOWED:
            raise NotAllowed(f"This token may not: {what}.", hint=f"Its scope is {actor.scope}; it takes another one.")
        on = "" if subject is FARM else f" ({subject.kind} {subject.id})"
        raise NotAllowed(f"{actor.name} may not: {what}{on}.", hint=f"The role is {actor.role}; an admin can help.")


def visibility_of(actor: Actor, action: str) -> Visibility:
    """The things that the table lets the actor do it with, for questions that answer with many."""
    rule = TABLE[action]
    allowed = {each for each in Relation if rule.verdict(actor.role, each) is Verdict.ALLOWED}
    if Relation.OTHER in allowed:
        return ALL
    projects = actor.projects if Relation.PROJECT in allowed else frozenset()
    return Visibility(actor.name if Relation.OWN in allowed else None, projects)
