"""A Blender that starts while we are still getting ready: `render` has it look at the scene and then render it.

What is imported here, and by what it imports, is imported before Blender starts: only what that needs.
"""

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from renderctl.blender.header import names_a_file, read_header
from renderctl.core.errors import DecoderUnavailable
from renderctl.farm import Farm
from renderctl.farm.blenders import BlenderChoice, choose_blender, start_session
from renderctl.farm.models.inspect_local import beside
from renderctl.farm.scratch import Scratch, scratch_root

if TYPE_CHECKING:
    from renderctl.blender.session import Session
    from renderctl.decoder import Decoder


@dataclass(frozen=True)
class PrewarmedBlender:
    """A started Blender with a scratch directory of its own. Whoever uses it closes it."""

    chosen: BlenderChoice
    session: "Session"
    scratch: Scratch
    decoder: "Decoder"
    beside: tuple[Path, ...] = ()  #: where the scene lies: the session reads it

    @property
    def folder(self) -> Path:
        """Where the session writes."""
        return self.scratch.path / "session"

    @property
    def scene(self) -> Path:
        """Where the files of a job's scene will lie: the session reads them."""
        return self.scratch.path / "scene"

    def prepare(self) -> None:
        """There will be frames: have what decodes them start, too."""
        with suppress(DecoderUnavailable):  # the first frame says so
            self.decoder.prepare()

    def close(self) -> None:
        self.session.close()
        self.scratch.remove()


def prewarm(farm: Farm, scene: str) -> PrewarmedBlender | None:
    """The Blender for a scene file, starting, and told to look at it.

    None: `scene` is the name of a model, or would be out of its reach.
    Raises SceneNotFound, SceneUnreadable, SceneTooNew, BlenderMissing, LibraryMissing.
    """
    if not names_a_file(scene) or farm.executor.isolated:
        return None
    file = Path(os.path.normpath(Path(scene).expanduser().absolute()))
    chosen = choose_blender(farm, read_header(file))
    scratch, reads = Scratch.claim_new(scratch_root(farm), "standby"), beside(farm, file)
    folder, own = scratch.path / "session", scratch.path / "scene"
    try:
        own.mkdir()
        session = start_session(farm, chosen.blender, folder, (own, *reads))
        standby = PrewarmedBlender(chosen, session, scratch, farm.decoder, reads)
    except BaseException:
        scratch.remove()
        raise
    try:
        _require_libraries(chosen)
        standby.session.begin_inspection(file)
    except BaseException:
        standby.close()
        raise
    return standby


def _require_libraries(chosen: BlenderChoice) -> None:
    from renderctl.blender.libraries import require_libraries  # to load them takes a while, too

    require_libraries(chosen.blender)
