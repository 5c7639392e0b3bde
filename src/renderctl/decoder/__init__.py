"""Decodes images of strangers: in processes of their own, each within a sandbox and with limits of memory and time."""

import logging
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from renderctl.core.errors import BadImage, DecoderUnavailable, ImageRefused
from renderctl.core.settings import DecoderSettings
from renderctl.decoder.images import ImageFacts
from renderctl.decoder.processes import DecodeTimeout, DecodingProcess, ForkServer, ProcessEnded

__all__ = ["Decoder", "ImageFacts"]

logger = logging.getLogger(__name__)

#: Images after which a process is replaced, and processes that wait for more.
_MOST_IMAGES, _MOST_IDLE = 500, 8
#: Seconds for a small copy at most.
_THUMBNAIL_TIMEOUT_S = 20.0
#: Megabytes of the one file that a process may write: a small copy.
_THUMBNAIL_MB = 64


@dataclass(frozen=True)
class _Sandbox:
    """What a process is left with."""

    reads: Path
    writes: Path | None = None


class Decoder:
    """For any thread. Its processes start when they are needed, and end with `close` or with this process."""

    def __init__(self, settings: DecoderSettings) -> None:
        self._settings = settings
        self._server: ForkServer | None = None
        self._idle: list[tuple[_Sandbox, DecodingProcess]] = []
        self._lock = threading.Lock()
        self._starting = threading.Lock()

    def prepare(self) -> None:
        """Let it start, for what comes soon, without waiting for it. Raises DecoderUnavailable."""
        self._fork_server(None)

    def verify(self, path: Path, *, within: Path, width: int | None = None, height: int | None = None) -> ImageFacts:
        """Decode every pixel of the image at `path`, in a process that sees the folder `within` and nothing else.

        `width` and `height` in pixels are what it must have, where they are given. The process is kept for more of the
        same folder, until `release`. Raises BadImage, ImageRefused for what is not as asked for or above the limits,
        DecoderUnavailable.
        """
        answer = self._ask({"path": str(path), "width": width, "height": height}, _Sandbox(within), keep=True)
        return _facts(answer, path)

    def write_small(self, path: Path, target: Path, side: int) -> None:
        """A copy of the image at `path` to look at as `target` (.webp), its longer side `side` pixels at most; in sRGB.

        `target` lies alone in a folder which is all that the process may write to. Raises as `verify` does.
        """
        confines = _Sandbox(path, target.parent)
        self._ask({"path": str(path), "target": str(target), "side": side}, confines, keep=False)
        if target.is_symlink() or not target.is_file():
            raise BadImage(f"{path.name} can not be shown.")

    def check(self) -> str:
        """What decodes images here, in a few words. Raises DecoderUnavailable."""
        shut = "in a sandbox" if self._is_shut() else "without a sandbox"
        return f"processes {shut}, {self._settings.memory_mb} MB and {self._settings.timeout:g} s each"

    def advice(self) -> list[str]:
        """What could be better about it. Raises DecoderUnavailable."""
        return (
            [] if self._is_shut() else ["This kernel has no Landlock: a damaged image could reach files of the farm."]
        )

    def _is_shut(self) -> bool:
        process = self._started(_Sandbox(Path("/dev/null")))
        process.kill()
        return process.shut

    def release(self, within: Path) -> None:
        """End the processes that see this folder: what comes next is somebody else's."""
        with self._lock:
            leaving = [process for confines, process in self._idle if confines.reads == within]
            self._idle = [(confines, process) for confines, process in self._idle if confines.reads != within]
        for process in leaving:
            process.kill()

    def close(self) -> None:
        """End all of them."""
        with self._lock:
            idle, self._idle = self._idle, []
            server, self._server = self._server, None
        for _, process in idle:
            process.kill()
        if server is not None:
            server.close()

    def _ask(self, request: dict[str, Any], confines: _Sandbox, *, keep: bool) -> dict[str, Any]:
        """The answer to a request. An image that ends its process gets a fresh one, once: it may have had bad luck."""
        name, timeout_s = Path(request["path"]).name, self._settings.timeout
        if not keep:  # somebody waits for it
            timeout_s = min(timeout_s, _THUMBNAIL_TIMEOUT_S)
        for process in (self._process(confines), None):
            process = process or self._started(confines)
            try:
                answer = process.ask(request, timeout_s)
            except DecodeTimeout as error:
                process.kill()
                hint = f"That is more than {timeout_s:g} seconds: decoder.timeout." if keep else None
                raise ImageRefused(f"{name} takes too long to decode.", hint=hint) from error
            except ProcessEnded:
                process.kill()
                logger.warning("what decoded %s has ended before it was done", name)
                continue
            self._put_back(confines, process, keep=keep)
            if "bad" in answer:
                kind = ImageRefused if answer.get("refused") else BadImage
                raise kind(str(answer["bad"]), hint=str(answer["hint"]) if answer.get("hint") else None)
            return answer
        raise ImageRefused(f"{name} can not be decoded: what decodes images does not survive it.")

    def _process(self, confines: _Sandbox) -> DecodingProcess | None:
        """One that waits for images of these confines."""
        with self._lock:
            for index, (others, process) in enumerate(self._idle):
                if others == confines:
                    del self._idle[index]
                    return process
        return None

    def _put_back(self, confines: _Sandbox, process: DecodingProcess, *, keep: bool) -> None:
        too_many = []
        if keep and process.decoded < _MOST_IMAGES:
            with self._lock:
                self._idle.append((confines, process))
                too_many = [self._idle.pop(0)[1]] if len(self._idle) > _MOST_IDLE else []
        else:
            too_many = [process]
        for each in too_many:
            each.kill()

    def _started(self, confines: _Sandbox) -> DecodingProcess:
        """A new one. Raises DecoderUnavailable."""
        order = {
            "reads": [str(confines.reads)],
            "writes": [str(confines.writes)] if confines.writes else [],
            "memory_mb": self._settings.memory_mb,
            "file_mb": _THUMBNAIL_MB,
            "image_mb": self._settings.image_mb,
        }
        dead: ForkServer | None = None
        for _ in range(2):
            server = self._fork_server(dead)
            try:
                return server.fork(order)
            except ProcessEnded:
                dead = server
        raise DecoderUnavailable("What decodes images does not start.", hint="`renderctl doctor` looks at the machine.")

    def _fork_server(self, dead: ForkServer | None) -> ForkServer:
        """The server, started if there is none, or only one that is known to be dead."""
        with self._starting:
            if self._server is None or self._server is dead:
                if dead is not None:
                    dead.close()
                self._server = ForkServer()
            return self._server


def _facts(answer: dict[str, Any], path: Path) -> ImageFacts:
    """What a process says of an image, if it is what such a process says."""
    facts = answer.get("facts")
    if isinstance(facts, dict):
        width, height, channels, parts = (facts.get(name) for name in ("width", "height", "channels", "parts"))
        if all(type(count) is int and 0 < count < 1 << 31 for count in (width, height, channels, parts)):
            return ImageFacts(width, height, channels, parts, str(facts.get("format"))[:20])  # type: ignore[arg-type]
    raise ImageRefused(f"{path.name} can not be decoded: the answer about it makes no sense.")
