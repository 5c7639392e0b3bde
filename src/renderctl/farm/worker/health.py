"""How a node is: whether there is room on its disks, and whether a Blender of it starts.

A worker whose node is not well stays with the farm, says why, takes no work, and goes on by itself when it is well.
"""

import logging
import os
import shutil
import threading
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from renderctl.blender.failures import SessionFailed, SessionStopped
from renderctl.blender.find import format_version
from renderctl.core.errors import BlenderMissing, RenderctlError
from renderctl.core.jobs import Failure, Fault
from renderctl.core.workers import Capabilities
from renderctl.farm import Farm
from renderctl.farm.blenders import known_blenders
from renderctl.farm.periodic import PeriodicThread
from renderctl.farm.worker.blob_cache import BlobCache
from renderctl.farm.worker.failures import unexpected_failure
from renderctl.farm.worker.session_slot import SessionSlot
from renderctl.farm.worker.stop_flags import StopFlags

logger = logging.getLogger(__name__)

#: A Blender that did not start is tried again after so many heartbeats.
_PROBE_EVERY = 6


class Health:
    """What is wrong with this node, if anything, looked at with every heartbeat."""

    def __init__(self, farm: Farm, folders: Iterable[Path], flags: StopFlags, tags: tuple[str, ...]) -> None:
        """`folders` are those that are written to while frames are rendered."""
        self._farm = farm
        self._folders = tuple(folders)
        self._blobs = BlobCache(farm)
        self._flags = flags
        self._suspected = threading.Event()  # a session ended badly: does Blender start at all?
        self._probing = threading.Lock()
        self._no_blender: str | None = None
        self._no_room: str | None = None
        self._beats_until_probe = _PROBE_EVERY
        self.capabilities = Capabilities(os.cpu_count() or 1, _memory_mb(), tags=tags)
        self._reported: Capabilities | None = None
        self._started = False
        self._thread = PeriodicThread(farm.clock, "health", farm.settings.worker.heartbeat, self._check)

    @property
    def problem(self) -> str | None:
        """What is wrong, in words."""
        return self._no_room or self._no_blender

    @property
    def error(self) -> BaseException | None:
        return self._thread.error

    def start(self) -> None:
        """Go on looking until `stop`; what was found so far is told already."""
        self._reported = self.capabilities
        self._started = True
        self._thread.start()

    def stop(self) -> None:
        self._thread.stop()

    def suspect(self) -> None:
        """A session ended badly: before more work is taken, Blender is tried."""
        if self._started:
            self._suspected.set()

    @property
    def is_suspect(self) -> bool:
        """Whether Blender has to be tried first."""
        return self._suspected.is_set()

    def ensure_healthy(self, sessions: SessionSlot) -> bool:
        """Whether a slot may take work; where there is doubt its Blender is started to find out, and stays warm."""
        if self._suspected.is_set():
            with self._probing:
                if self._suspected.is_set():
                    self.probe_blender(sessions)
        return self.problem is None

    def probe_blender(self, sessions: SessionSlot) -> None:
        """Try whether Blender starts and what it renders on, and look at the disks."""
        try:
            self.detect_blenders()
            devices = sessions.devices(self._flags.abort)
            gpus = tuple(device for device in devices if device != "CPU")
            self.capabilities = replace(self.capabilities, gpus=gpus)
            self._no_blender = None
        except SessionStopped:
            return  # the worker ends
        except BlenderMissing as error:
            self._no_blender = error.message.rstrip(".")
        except SessionFailed as error:
            self._no_blender = f"Blender does not start: {error.failure.reason}"
        except (RenderctlError, OSError) as error:
            self._no_blender = f"Blender does not start: {error}"
        except Exception as error:
            logger.exception("unexpected while Blender was tried")
            sessions.close()
            self._no_blender = f"Blender does not start: {unexpected_failure(error).reason.rstrip('.')}"
        self._suspected.clear()
        self.check_disks()

    def detect_blenders(self) -> None:
        """See which Blenders are installed, without starting one. Raises BlenderMissing."""
        blenders = known_blenders(self._farm)
        versions = tuple(dict.fromkeys(format_version(blender.version) for blender in blenders))
        self.capabilities = replace(self.capabilities, blenders=versions)

    def check_disks(self) -> None:
        """Look at the disks; where there is no room, models that nobody uses are given up first."""
        before, self._no_room = self._no_room, self._room()
        if self._no_room is not None:
            self._blobs.make_room(self._farm.settings.worker.min_free_mb << 20)
            self._no_room = self._room()
        if self.problem is not None:
            self._flags.hold.set()
            if self._no_room != before or self._no_blender is not None:
                logger.warning("no work is taken: %s", self.problem)

    def explain(self, failure: Failure) -> Failure:
        """A machine's failure, with the full disk that is behind it."""
        full = self._room() if failure.fault is Fault.MACHINE else None
        return replace(failure, reason=f"{failure.reason} The disk is nearly full: {full}.") if full else failure

    def unreported_capabilities(self) -> Capabilities | None:
        """The capabilities, when the farm has not heard of them yet."""
        return self.capabilities if self.capabilities != self._reported else None

    def acknowledge(self, capabilities: Capabilities | None) -> None:
        """The farm knows them now."""
        self._reported = capabilities or self._reported

    def _check(self) -> None:
        self.check_disks()
        if self._no_blender is None:
            self._beats_until_probe = _PROBE_EVERY
            return
        self._beats_until_probe -= 1
        if self._beats_until_probe == 0:
            self._beats_until_probe = _PROBE_EVERY
            sessions = SessionSlot(self._farm, self._folders[0] / "probe", allow_scripts=False)
            try:
                self.probe_blender(sessions)
            finally:
                sessions.close()

    def _room(self) -> str | None:
        required_mb = self._farm.settings.worker.min_free_mb
        for folder in self._folders:
            there = next(path for path in (folder, *folder.parents) if path.exists())
            free_mb = shutil.disk_usage(there).free >> 20
            if free_mb < required_mb:
                return f"{free_mb} MB free on {_mount(there)}, {required_mb} needed"
        return None


def _mount(folder: Path) -> Path:
    """Where the disk of a folder is mounted."""
    return next(path for path in (folder, *folder.resolve().parents) if path.is_mount())


def _memory_mb() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
