"""Whether a user may still begin something: they may have been disabled since they were let in."""

from sqlalchemy import Connection, select

from renderctl.core.actors import Actor, Via
from renderctl.core.errors import TokenRefused


def require_enabled(connection: Connection, actor: Actor) -> None:
    """Raise TokenRefused for a user who is disabled; whoever uses the farm's own parts is not asked.

    Whoever disables them waits for this transaction, and pauses what it has begun.
    """
    if actor.via is Via.LOCAL:
        return
    from renderctl.repository.schema.people import users  # not before it is needed: a `render` needs no users

    query = select(users.c.disabled_at).where(users.c.name == actor.name).with_for_update(read=True)
    if connection.scalar(query) is not None:
        raise TokenRefused
