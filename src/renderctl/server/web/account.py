"""A user's own account: role, tokens, password, second factor and sessions."""

from fastapi import Response

from renderctl.core.actors import Scope, Via
from renderctl.core.people import MIN_PASSWORD_LENGTH, Token
from renderctl.core.permissions import Subject
from renderctl.server.web.context import CurrentPage, PageContext, new_router

router = new_router()
#: The scopes of a token, each with those before it.
SCOPES = {Scope.READ: "see and fetch", Scope.WORK: "and upload, submit, control", Scope.ALL: "all that its user may do"}
_DAY_S = 86_400
#: Lifetimes of tokens for people, and in seconds; null: without end.
TOKEN_LIFETIMES = (("a week", 7 * _DAY_S), ("90 days", 90 * _DAY_S), ("a year", 365 * _DAY_S), ("no expiry", "null"))


@router.get("/account")
def account(context: CurrentPage) -> Response:
    """The user's own account."""
    actor = context.verbs.whoami()
    own = Subject("user", actor.name, owner=actor.name)
    by_password = actor.via is Via.SESSION
    totp = context.verbs.totp_status(actor.name) if by_password and context.can("totp.enroll", own) else None
    return context.show(
        "account",
        actor=actor,
        by_password=by_password,
        sessions=context.verbs.list_sessions(actor.name) if context.can("session.see", own) else None,
        can_end_sessions=context.can("session.end", own),
        tokens=tokens_of(context, actor.name),
        can_create_tokens=context.can("token.create", own),
        can_set_password=context.can("user.password", own) and by_password,
        totp=totp,
        needs_totp=totp is not None and needs_totp(context),
        scopes=SCOPES,
        lifetimes=TOKEN_LIFETIMES,
        least_password=MIN_PASSWORD_LENGTH,
    )


def needs_totp(context: PageContext) -> bool:
    """Whether the user is an admin with fewer permissions because they have no second factor."""
    return context.verbs.is_limited()


def tokens_of(context: PageContext, name: str) -> list[Token]:
    """The valid tokens of a user, newest first."""
    now = context.request.app.state.parts.clock.now()
    tokens: list[Token] = context.verbs.list_tokens(name)
    return [
        token for token in tokens if token.revoked_at is None and (token.expires_at is None or token.expires_at > now)
    ]
