"""`users`: who there is, what they are, and how they come to be."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from renderctl.core.actors import Actor, Role, Via
from renderctl.core.errors import InvitationRefused, LoginRefused
from renderctl.core.people import DEFAULT_PROJECT, Invitation, User, validated_name, validated_password
from renderctl.core.permissions import Subject, Verdict, verdict
from renderctl.farm import Farm
from renderctl.farm.authorization import require
from renderctl.farm.jobs.status import invalidate as forget_status
from renderctl.farm.people.login_throttle import Origin, attempt_password, count, forget, of_sender, succeeded
from renderctl.farm.people.passwords import KNOWN_GATE
from renderctl.farm.people.secrets import INVITATION_PREFIX, new_secret, token_digest

#: Seconds for which an invitation is good unless something else is asked for.
INVITATION_S = 7 * 86_400.0
#: Wrong invitation codes from one network, within an hour, that cost no waiting.
_FREE_CODES = 20
#: Jobs of a disabled user that are shown as paused at once; that of others is seen two seconds later.
_SHOWN_AT_ONCE = 200


@dataclass(frozen=True)
class Invited:
    """An invitation and its code, which is told this once."""

    invitation: Invitation
    code: str = field(repr=False)


def list_users(farm: Farm, actor: Actor) -> list[User]:
    """The users that the actor may see, by their names."""
    return [user for user in farm.repository.users.all() if verdict(actor, "user.see", _of(user)) is Verdict.ALLOWED]


def add_user(
    farm: Farm,
    actor: Actor,
    name: str,
    role: Role,
    *,
    projects: Sequence[str] = (),
    password: str | None = None,
) -> User:
    """Add a user; without a project they join `default`. Raises InvalidInput, Conflict, NotFound, NotAllowed."""
    require(farm, actor, "user.add", Subject("user", name))
    password_hash = _hash_of(validated_password(password), actor.address) if password is not None else None
    among = tuple(projects) or (DEFAULT_PROJECT,)
    return farm.repository.users.add(validated_name(name), role, among, password=password_hash, actor=actor)


def add_first_admin(farm: Farm, actor: Actor, name: str, password: str) -> User:
    """Add the first admin of a farm. Raises Conflict when it has one."""
    require(farm, actor, "user.add", Subject("user", name))
    password_hash = _hash_of(validated_password(password), actor.address)
    among = (DEFAULT_PROJECT,)
    return farm.repository.users.add(
        validated_name(name), Role.ADMIN, among, password=password_hash, actor=actor, first=True
    )


def set_role(farm: Farm, actor: Actor, name: str, role: Role) -> User:
    """Give a user another role, which holds from their next request on. Raises NotFound, Conflict, NotAllowed."""
    require(farm, actor, "user.role", Subject("user", name))
    return farm.repository.users.set_role(name, role, actor=actor)


def disable_user(farm: Farm, actor: Actor, name: str) -> User:
    """Let a user in no more, by password or token; what is theirs stays.

    Their open jobs pause: frames that run finish, no more start until somebody resumes the job. Raises NotFound,
    Conflict, NotAllowed.
    """
    require(farm, actor, "user.disable", Subject("user", name))
    user = farm.repository.users.disable(name, actor=actor)
    for job_id in farm.repository.jobs.paused_with_owner(name, limit=_SHOWN_AT_ONCE):
        forget_status(farm, job_id)
    return user


def enable_user(farm: Farm, actor: Actor, name: str) -> User:
    """Let a disabled user in again; their jobs stay paused until they, or an operator, resume them.

    Raises NotFound, NotAllowed.
    """
    require(farm, actor, "user.disable", Subject("user", name))
    return farm.repository.users.enable(name, actor=actor)


def set_password(farm: Farm, actor: Actor, name: str, password: str, *, old: str | None = None) -> User:
    """Give a user a new password, which ends their sessions.

    Users who change their own one must show the `old` one, unless they use the farm's own parts; wrong guesses at it
    count like those at a log-in. Raises NotFound, NotAllowed, LoginRefused, TooManyGuesses, InvalidInput.
    """
    require(farm, actor, "user.password", Subject("user", name, owner=name))
    validated_password(password)
    if actor.name == name and actor.via is not Via.LOCAL:
        require_own_password(farm, actor, old or "", "user.password")
    return farm.repository.users.set_password(name, _hash_of(password, actor.address), actor=actor)


def require_own_password(farm: Farm, actor: Actor, password: str, action: str) -> None:
    """Have whoever is logged in show that they know their password. Raises LoginRefused, TooManyGuesses, Busy."""
    attempt = attempt_password(farm, actor.name, password, Origin(actor.address))
    if not attempt.is_right:
        farm.repository.login_attempts.record_refusal(actor, action, actor.name, "the old password is wrong")
        raise LoginRefused("The old password is wrong.")
    succeeded(farm, attempt)


def invite(
    farm: Farm, actor: Actor, role: Role, *, projects: Sequence[str] = (), lasts_s: float = INVITATION_S
) -> Invited:
    """Make a code that registers one user, within so many seconds. Raises NotAllowed, NotFound."""
    require(farm, actor, "user.add")
    for name in projects:
        farm.repository.projects.require(name)
    code = new_secret(INVITATION_PREFIX)
    among = tuple(projects) or (DEFAULT_PROJECT,)
    invitation = farm.repository.invitations.add(token_digest(code), role, among, lasts_s=lasts_s, actor=actor)
    return Invited(invitation, code)


def list_invitations(farm: Farm, actor: Actor) -> list[Invitation]:
    """The invitations that somebody may still use, the newest first; their codes nobody knows. Raises NotAllowed."""
    require(farm, actor, "invitation.see")
    return farm.repository.invitations.open()


def withdraw_invitation(farm: Farm, actor: Actor, invitation_id: str) -> Invitation:
    """Have nobody register by an invitation any more. Raises NotFound, Conflict for a used one, NotAllowed."""
    require(farm, actor, "invitation.withdraw", Subject("invitation", invitation_id))
    return farm.repository.invitations.withdraw(invitation_id, actor=actor)


def register(farm: Farm, code: str, name: str, password: str, *, address: str | None) -> Actor:
    """Become a user by an invitation's code. Nothing is hashed for whoever has none.

    Raises InvitationRefused, InvalidInput, Conflict, TooManyGuesses, Busy.
    """
    counted = {of_sender(address, "code"): _FREE_CODES}
    count(farm, counted)
    try:
        farm.repository.invitations.require(token_digest(code))
    except InvitationRefused:
        whoever = Actor(name[:64], via=Via.SESSION, address=address)
        farm.repository.login_attempts.record_refusal(
            whoever, "user.register", whoever.name, "the invitation is not valid"
        )
        raise
    new_name = validated_name(name)
    password_hash = _hash_of(validated_password(password), address)
    actor = farm.repository.invitations.accept(token_digest(code), new_name, password_hash, address=address)
    forget(farm, counted)
    return actor


def whoami(farm: Farm, actor: Actor) -> Actor:
    """Who one is to the farm."""
    require(farm, actor, "self.see")
    return actor


def _hash_of(password: str, address: str | None) -> str:
    with KNOWN_GATE.passed(address) as hashing:
        return hashing.hashed(password)


def _of(user: User) -> Subject:
    return Subject("user", user.name, user.name, frozenset(user.projects))
