"""`render` starts its Blender before all else is imported: the one takes as long as the other."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from renderctl import wiring
from renderctl.cli import context
from renderctl.core.errors import RenderctlError

if TYPE_CHECKING:
    from renderctl.farm.prewarm import PrewarmedBlender
    from renderctl.wiring import LocalCommands


@dataclass(frozen=True)
class Prewarmed:
    """A Blender that starts, and for which scene."""

    scene: str
    standby: "PrewarmedBlender"
    connection: "LocalCommands"

    def close(self) -> None:
        self.standby.close()
        self.connection.close()


def prewarm(words: Sequence[str]) -> None:
    """Start the Blender for the scene that the words after `render` name, as far as that can be seen without Typer.

    What is wrong with any of them is for the command itself to say.
    """
    scene = _scene_among(words)
    if scene is None:
        return
    with suppress(RenderctlError):
        connection = wiring.connect_locally(context.current.config)
        standby = connection.prewarm(scene)
        if standby is not None:
            context.prewarmed = Prewarmed(scene, standby, connection)


def _scene_among(words: Sequence[str]) -> str | None:
    if "--help" in words or "-h" in words:
        return None
    files = (word for word in words if word.lower().endswith(".blend") and not word.startswith("-"))
    return next((word for word in files if Path(word).is_file()), None)
