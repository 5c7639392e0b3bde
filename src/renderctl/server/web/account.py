"""Somebody's own account: who he is to the farm, his tokens, his password, his log-ins, his way out."""

from fastapi import Response

from renderctl.core.actors import Scope, Via
from renderctl.core.people import MIN_PASSWORD_LENGTH, Token
from renderctl.core.permissions import Subject
from renderctl.server.web.context import CurrentPage, PageContext, new_router

router = new_router()
#: What the scopes of a token are good for.
SCOPES = {Scope.READ: "see and fetch", Scope.WORK: "and upload, submit, steer", Scope.ALL: "all that one may oneself"}
_DAY_S = 86_400
#: For how long a token may be good, as people say it, in seconds; null: for ever.
TOKEN_LIFETIMES = (("a week", 7 * _DAY_S), ("90 days", 90 * _DAY_S), ("a year", 365 * _DAY_S), ("for ever", "null"))


@router.get("/account")
def account(context: CurrentPage) -> Response:
    """Whoever asks, to himself."""
    actor = context.verbs.whoami()
    own = Subject("user", actor.name, owner=actor.name)
    by_password = actor.via is Via.SESSION
    totp = context.verbs.totp_status(actor.name) if by_password and context.can("totp.enroll", own) else None
    return context.show(
        "account",
        actor=actor,
        by_password=by_password,
        sessions=context.verbs.list_sessions(actor.name) if context.can("session.see", own) else None,
        ends_sessions=context.can("session.end", own),
        tokens=tokens_of(context, actor.name),
        makes_tokens=context.can("token.create", own),
        sets_password=context.can("user.password", own) and by_password,
        totp=totp,
        needs_totp=totp is not None and needs_totp(context),
        scopes=SCOPES,
        lasts=TOKEN_LIFETIMES,
        least_password=MIN_PASSWORD_LENGTH,
    )


def needs_totp(context: PageContext) -> bool:
    """Whether the page is an admin who does less for want of a second factor."""
    return context.verbs.is_limited()


def tokens_of(context: PageContext, name: str) -> list[Token]:
    """The tokens of a user that are good for something still, the newest first."""
    now = context.request.app.state.parts.clock.now()
    found: list[Token] = context.verbs.list_tokens(name)
    return [each for each in found if each.revoked_at is None and (each.expires_at is None or each.expires_at > now)]
