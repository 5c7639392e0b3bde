"""Which datablocks an image can depend on: those that a scene uses, directly or indirectly."""

from typing import Any

import bpy

#: Users that are never rendered, such as brushes.
NOT_RENDERED = (bpy.types.Brush, bpy.types.Screen, bpy.types.WindowManager, bpy.types.WorkSpace)


class Usage:
    """A snapshot of the users of all datablocks."""

    def __init__(self) -> None:
        self._users = bpy.data.user_map()

    def is_seen(self, block: Any) -> bool:
        """Return whether a scene uses the datablock, directly or through others; a fake user does not count."""
        if isinstance(block, bpy.types.Library):
            return any(self.is_seen(user) for user in block.users_id)
        seen: set[Any] = set()
        pending = [block]
        while pending:
            user = pending.pop()
            if isinstance(user, bpy.types.Scene):
                return True
            if user not in seen and not isinstance(user, NOT_RENDERED):
                seen.add(user)
                pending.extend(self._users.get(user, ()))
        return False
