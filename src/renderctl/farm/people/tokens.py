"""`tokens`: what programs show in place of a password."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from renderctl.core.actors import Actor, Role, Scope
from renderctl.core.ids import new_id
from renderctl.core.people import Token
from renderctl.core.permissions import Subject, Verdict, verdict
from renderctl.farm import Farm
from renderctl.farm.authorization import require
from renderctl.farm.people.secrets import TOKEN_PREFIX, new_secret, token_digest

#: Seconds for which a token is good unless something else is asked for.
TOKEN_S = 90 * 86_400.0


@dataclass(frozen=True)
class NewToken:
    """A token, and itself, which is told this once."""

    token: Token
    secret: str = field(repr=False)


def create_token(
    farm: Farm,
    actor: Actor,
    name: str,
    *,
    user: str | None = None,
    scope: Scope = Scope.WORK,
    lasts_s: float | None = TOKEN_S,
) -> NewToken:
    """A token for the actor or for another user, good for so many seconds (None: for ever).

    A token never allows more than its user may do at this moment. Raises NotFound, NotAllowed.
    """
    whose = user or actor.name
    require(farm, actor, "token.create", Subject("user", whose, owner=whose))
    secret = new_secret(TOKEN_PREFIX)
    token = Token(new_id(), whose, name[:64], scope, datetime.now(UTC), None)
    return NewToken(farm.repository.tokens.add(token, token_digest(secret), lasts_s=lasts_s, actor=actor), secret)


def list_tokens(farm: Farm, actor: Actor, user: str | None = None) -> list[Token]:
    """The tokens of one user, or of all that the actor may see, the newest first."""
    tokens = farm.repository.tokens.all(user=user)
    return [token for token in tokens if verdict(actor, "token.see", _of(token)) is Verdict.ALLOWED]


def revoke_token(farm: Farm, actor: Actor, token_id: str) -> Token:
    """Make a token good for nothing, from now on. Raises NotFound, NotAllowed."""
    token = farm.repository.tokens.get(token_id)
    require(farm, actor, "token.revoke", _of(token))
    return farm.repository.tokens.revoke(token_id, actor=actor)


def limited_without_totp(farm: Farm, actor: Actor) -> Actor:
    """The actor; an admin who has no second factor, where admins need one, is an operator until they do."""
    if actor.role is not Role.ADMIN or not farm.settings.serve.require_totp_for_admins:
        return actor
    factor = farm.repository.second_factors.get(actor.name)
    return actor if factor is not None and factor.is_confirmed else replace(actor, role=Role.OPERATOR)


def is_limited(farm: Farm, actor: Actor) -> bool:
    """Whether the actor is an admin who may do less because they have no second factor."""
    return actor.role is not Role.ADMIN and farm.repository.users.get(actor.name).role is Role.ADMIN


def _of(token: Token) -> Subject:
    return Subject("token", token.id, owner=token.user)
