"""The session of a slot: one warm Blender, kept while turns go to the same job or to one just like it."""

import json
import logging
import threading
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from renderctl.blender.events import Opened
from renderctl.blender.find import Blender
from renderctl.blender.session import RenderPlan, Session
from renderctl.core.errors import RenderctlError
from renderctl.core.ids import new_id
from renderctl.core.jobs import Job
from renderctl.core.models import Model
from renderctl.farm import Farm
from renderctl.farm.blenders import (
    BlenderChoice,
    choose_blender,
    cpu_threads,
    known_blenders,
    limits,
    saved_by,
    session_log,
    start_session,
)
from renderctl.farm.prewarm import PrewarmedBlender
from renderctl.farm.scratch import clear_away
from renderctl.farm.worker.blob_cache import BlobCache

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class OpenSession:
    """A session with a job's scene open."""

    session: Session
    scratch: Path  #: where it writes
    opened: Opened
    command: str  #: the exact command, for logs
    notes: tuple[str, ...]

    @property
    def described(self) -> str:
        """What renders, in a line."""
        opened = self.opened
        return f"Blender {opened.version}, {opened.engine} on {opened.device}, {opened.width}x{opened.height}"


class SessionSlot:
    """At most one running Blender; the one that is there is used if it fits."""

    def __init__(self, farm: Farm, scratch: Path, *, allow_scripts: bool) -> None:
        self._farm = farm
        self._scratch = scratch
        self._allow_scripts = allow_scripts
        self._session: Session | None = None
        self._blender: Blender | None = None
        self._ready: OpenSession | None = None
        self._key: str | None = None
        self._latest: BlenderChoice | None = None
        self._folder = scratch  # where the session writes
        self._scene = scratch  # where the files of its scene will lie
        self._beside: tuple[Path, ...] = ()  # what else it reads: where one's own scene lies
        self._blobs = BlobCache(farm)
        self._folders = ExitStack()  # the folders that the session uses

    @property
    def alive(self) -> bool:
        """Whether a Blender is running."""
        return self._session is not None and self._session.alive

    @property
    def log(self) -> Path:
        """Where Blender prints while it renders nothing."""
        return session_log(self._folder)

    def adopt(self, standby: PrewarmedBlender) -> None:
        """Take over a Blender that was started ahead."""
        self.close()
        self._session, self._blender = standby.session, standby.chosen.blender
        self._folder, self._scene, self._beside = standby.folder, standby.scene, standby.beside
        self._folders.callback(standby.scratch.remove)

    def started(self, chosen: BlenderChoice, beside: tuple[Path, ...] = ()) -> Session:
        """A Blender of that version which has nothing open, and reads what is `beside`; a warm one if there is one."""
        self._drop_dead()
        fits = self._blender == chosen.blender and set(beside) <= set(self._beside)
        if self._session is not None and fits and self._ready is None:
            return self._session
        self.close()
        self._blender, self._latest, self._beside = chosen.blender, chosen, beside
        self._folder, self._scene = self._new_folder("session"), self._new_folder("scene")
        self._scene.mkdir(parents=True)
        self._session = start_session(self._farm, chosen.blender, self._folder, (self._scene, *beside))
        return self._session

    def devices(self, stop: threading.Event) -> list[str]:
        """Start the newest Blender, or the one that was there last; what it renders on. It stays warm.

        Raises SessionFailed, SessionStopped, BlenderMissing, Unreachable.
        """
        chosen = self._latest or BlenderChoice(known_blenders(self._farm)[0], None)
        self._close_scene()
        session = self.started(chosen)
        try:
            return session.devices(limits(self._farm), stop)
        except RenderctlError:
            self.close()
            raise

    def for_job(self, job: Job, stop: threading.Event | None = None) -> OpenSession:
        """The session that has the job's scene open, warm if it had; given up soon after `stop` was set.

        Raises SessionFailed, SessionStopped and what the ports raise.
        """
        key = _key(job)
        self._drop_dead()
        if self._ready is not None and self._key == key:
            return self._ready
        model = self._farm.repository.models.get(job.model_id)
        chosen = choose_blender(self._farm, saved_by(model.facts), job.options.blender)
        self._close_scene()
        session = self.started(chosen)
        trusted = job.options.trust_scripts and self._allow_scripts
        root, own = self._laid_out(job, model, stop or threading.Event(), trusted=trusted)
        session.deliver(root.parent if root.is_relative_to(self._folder) else self._scene)
        plan = RenderPlan(
            scene=root / model.main,
            options=job.options,
            cameras=tuple(camera for camera in job.cameras if camera is not None),
            relocations={old: str(root / new) for old, new in model.facts.relocations.items()},
            replacements=tuple(
                (replacement.object, own / replacement.file) for replacement in job.options.replacements
            ),
            threads=cpu_threads(self._farm),
            in_order=job.in_order,
            trust_scripts=trusted,
        )
        try:
            opened = session.open(plan, limits(self._farm, job.frame_timeout_s), stop)
            opened = replace(opened, image=chosen.blender.image)
        except RenderctlError:
            self.close()
            raise
        notes = (*((chosen.note,) if chosen.note else ()), *self._script_notes(job), *opened.notes)
        blender = chosen.blender
        command = " ".join(blender.argv()) + (f"  # in {blender.image_name}@{blender.image}" * bool(blender.image))
        self._ready = OpenSession(session, self._folder, opened, command, notes)
        self._key = key
        return self._ready

    def _laid_out(self, job: Job, model: Model, stop: threading.Event, *, trusted: bool) -> tuple[Path, Path]:
        """The folders of the model's files and of the job's own.

        Scripts of the scene get copies where they write, to do as they like; in a container they can not.
        """
        copies = trusted and not self._farm.executor.isolated
        folder = (self._folder if copies else self._scene) / new_id()  # an earlier try may have come half the way
        root, own = folder / "model", folder / "inputs"
        inputs = self._farm.repository.models.inputs(model.id)
        self._blobs.lay_out(inputs, root, stop=stop, own=copies)
        self._blobs.lay_out(self._farm.repository.jobs.inputs(job.id), own, stop=stop, own=copies)
        return root, own

    def close(self) -> None:
        """End Blender, if one is running. Whatever comes of that, this slot has none afterwards."""
        session = self._session
        self._session = self._ready = self._key = self._blender = None
        with self._folders:
            if session is not None:
                session.close()

    def _new_folder(self, purpose: str) -> Path:
        """A path that is cleared away with the session."""
        folder = self._scratch / f"{purpose}-{new_id()}"
        self._folders.callback(clear_away, folder)
        self._folders.callback(clear_away, session_log(folder))
        return folder

    def _drop_dead(self) -> None:
        """Forget a Blender that has crashed or was stopped."""
        if self._session is not None and not self._session.alive:
            self.close()

    def _close_scene(self) -> None:
        if self._ready is not None:
            self.close()

    def _script_notes(self, job: Job) -> tuple[str, ...]:
        if job.options.trust_scripts and not self._allow_scripts:
            return ("--trust-scripts was not followed: this worker's allow_scripts is off.",)
        return ()


def _key(job: Job) -> str:
    replaced = job.id if job.options.replacements else None
    return json.dumps([job.model_id, job.options.as_document(), job.in_order, replaced], sort_keys=True)
