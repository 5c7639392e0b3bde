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
from renderctl.farm.worker.stop_flags import Signals

logger = logging.getLogger(__name__)

#: A Blender that did not start is tried again after so many heartbeats.
_TRY_AGAIN_BEATS = 6


class Health:
    """What is wrong with this node, if anything, looked at with every heartbeat."""

    def __init__(self, farm: Farm, folders: Iterable[Path], signals: Signals, tags: tuple[str, ...]) -> None:
        """`folders` are those that are written to while frames are rendered."""
        self._farm = farm
        self._folders = tuple(folders)
        self._blobs = BlobCache(farm)
        self._signals = signals
        self._doubted = threading.Event()  # a session ended badly: does Blender start at all?
        self._trying = threading.Lock()
        self._no_blender: str | None = None
        self._no_room: str | None = None
        self._beats_until_trial = _TRY_AGAIN_BEATS
        self.capabilities = Capabilities(os.cpu_count() or 1, _memory_mb(), tags=tags)
        self._told: Capabilities | None = None
        self._watching = False
        self._looking = PeriodicThread(farm.clock, "health", farm.settings.worker.heartbeat, self._look_again)

    @property
    def complaint(self) -> str | None:
        """What is wrong, in words."""
        return self._no_room or self._no_blender

    @property
    def error(self) -> BaseException | None:
        return self._looking.error

    def start(self) -> None:
        """Go on looking until `stop`; what was found so far is told already."""
        self._told = self.capabilities
        self._watching = True
        self._looking.start()

    def stop(self) -> None:
        self._looking.stop()

    def doubt(self) -> None:
        """A session ended badly: before more work is taken, Blender is tried."""
        if self._watching:
            self._doubted.set()

    @property
    def doubtful(self) -> bool:
        """Whether Blender has to be tried first."""
        return self._doubted.is_set()

    def reassure(self, sessions: SessionSlot) -> bool:
        """Whether a slot may take work; where there is doubt its Blender is started to find out, and stays warm."""
        if self._doubted.is_set():
            with self._trying:
                if self._doubted.is_set():
                    self.examine(sessions)
        return self.complaint is None

    def examine(self, sessions: SessionSlot) -> None:
        """Try whether Blender starts and what it renders on, and look at the disks."""
        try:
            self.take_stock()
            devices = sessions.devices(self._signals.halt)
            gpus = tuple(each for each in devices if each != "CPU")
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
        self._doubted.clear()
        self.look()

    def take_stock(self) -> None:
        """See which Blenders are installed, without starting one. Raises BlenderMissing."""
        found = known_blenders(self._farm)
        versions = tuple(dict.fromkeys(format_version(each.version) for each in found))
        self.capabilities = replace(self.capabilities, blenders=versions)

    def look(self) -> None:
        """Look at the disks; where there is no room, models that nobody uses are given up first."""
        before, self._no_room = self._no_room, self._room()
        if self._no_room is not None:
            self._blobs.make_room(self._farm.settings.worker.min_free_mb << 20)
            self._no_room = self._room()
        if self.complaint is not None:
            self._signals.rest.set()
            if self._no_room != before or self._no_blender is not None:
                logger.warning("no work is taken: %s", self.complaint)

    def explained(self, failure: Failure) -> Failure:
        """A machine's failure, with the full disk that is behind it."""
        full = self._room() if failure.fault is Fault.MACHINE else None
        return replace(failure, reason=f"{failure.reason} The disk is nearly full: {full}.") if full else failure

    def capabilities_news(self) -> Capabilities | None:
        """The capabilities, when the farm has not heard of them yet."""
        return self.capabilities if self.capabilities != self._told else None

    def heard(self, news: Capabilities | None) -> None:
        """The farm knows them now."""
        self._told = news or self._told

    def _look_again(self) -> None:
        self.look()
        if self._no_blender is None:
            self._beats_until_trial = _TRY_AGAIN_BEATS
            return
        self._beats_until_trial -= 1
        if self._beats_until_trial == 0:
            self._beats_until_trial = _TRY_AGAIN_BEATS
            sessions = SessionSlot(self._farm, self._folders[0] / "trial", allow_scripts=False)
            try:
                self.examine(sessions)
            finally:
                sessions.close()

    def _room(self) -> str | None:
        wanted_mb = self._farm.settings.worker.min_free_mb
        for folder in self._folders:
            there = next(each for each in (folder, *folder.parents) if each.exists())
            free_mb = shutil.disk_usage(there).free >> 20
            if free_mb < wanted_mb:
                return f"{free_mb} MB free on {_mount(there)}, {wanted_mb} needed"
        return None


def _mount(folder: Path) -> Path:
    """Where the disk of a folder is mounted."""
    return next(each for each in (folder, *folder.resolve().parents) if each.is_mount())


def _memory_mb() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 20
