"""Which datablocks a picture can depend on: those that a scene leads to."""

from typing import Any

import bpy

#: What tools remember is not rendered.
TOOLS = (bpy.types.Brush, bpy.types.Screen, bpy.types.WindowManager, bpy.types.WorkSpace)


class Usage:
    """Who uses whom, as it is now."""

    def __init__(self) -> None:
        self._users = bpy.data.user_map()

    def is_seen(self, block: Any) -> bool:
        """Whether some scene uses the datablock, directly or through others; one that is only kept is not used."""
        if isinstance(block, bpy.types.Library):
            return any(self.is_seen(each) for each in block.users_id)
        seen: set[Any] = set()
        waiting = [block]
        while waiting:
            user = waiting.pop()
            if isinstance(user, bpy.types.Scene):
                return True
            if user not in seen and not isinstance(user, TOOLS):
                seen.add(user)
                waiting.extend(self._users.get(user, ()))
        return False
