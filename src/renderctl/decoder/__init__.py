"""Decodes untrusted images in sandboxed processes with limits of memory and time."""

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

#: Images after which a process is replaced, and the most idle processes.
_MAX_IMAGES, _MAX_IDLE = 500, 8
#: The most seconds for a thumbnail.
_THUMBNAIL_TIMEOUT_S = 20.0
#: Megabytes of the file that a process may write: a thumbnail.
_THUMBNAIL_MB = 64


@dataclass(frozen=True)
class _Sandbox:
    """The paths that a decoding process may access."""

    reads: Path
    writes: Path | None = None


class Decoder:
    """A pool of decoding processes, started on demand. They end with `close` or with this process.

    Safe to use from any thread."""

    def __init__(self, settings: DecoderSettings) -> None:
        self._settings = settings
        self._server: ForkServer | None = None
        self._idle: list[tuple[_Sandbox, DecodingProcess]] = []
        self._lock = threading.Lock()
        self._start_lock = threading.Lock()

    def prepare(self) -> None:
        """Start the fork server ahead, without waiting for it. Raises DecoderUnavailable."""
        self._fork_server(None)

    def verify(self, path: Path, *, within: Path, width: int | None = None, height: int | None = None) -> ImageFacts:
        """Decode every pixel of the image at `path`, in a process that can read only the folder `within`.

        `width` and `height` are the required size in pixels, if given. The process is reused for the same folder until
        `release`. Raises BadImage for a damaged image, ImageRefused for another size or an exceeded limit,
        DecoderUnavailable.
        """
        response = self._ask({"path": str(path), "width": width, "height": height}, _Sandbox(within), reuse=True)
        return _parse_facts(response, path)

    def write_thumbnail(self, path: Path, target: Path, side: int) -> None:
        """Write a thumbnail of the image at `path` to `target` (.webp), with at most `side` pixels per side, in sRGB.

        `target` must be alone in its folder, which is all that the process may write to. Raises as `verify` does.
        """
        sandbox = _Sandbox(path, target.parent)
        self._ask({"path": str(path), "target": str(target), "side": side}, sandbox, reuse=False)
        if target.is_symlink() or not target.is_file():
            raise BadImage(f"{path.name} cannot be shown.")

    def check(self) -> str:
        """Return the sandbox and limits in a few words. Raises DecoderUnavailable."""
        described = "in a sandbox" if self._is_sandboxed() else "without a sandbox"
        return f"processes {described}, {self._settings.memory_mb} MB and {self._settings.timeout:g} s each"

    def advice(self) -> list[str]:
        """Return possible improvements, for `doctor`. Raises DecoderUnavailable."""
        return (
            []
            if self._is_sandboxed()
            else ["This kernel has no Landlock: a crafted image could access files of the farm."]
        )

    def _is_sandboxed(self) -> bool:
        process = self._start(_Sandbox(Path("/dev/null")))
        process.kill()
        return process.sandboxed

    def release(self, within: Path) -> None:
        """End the processes that can read this folder."""
        with self._lock:
            released = [process for sandbox, process in self._idle if sandbox.reads == within]
            self._idle = [(sandbox, process) for sandbox, process in self._idle if sandbox.reads != within]
        for process in released:
            process.kill()

    def close(self) -> None:
        """End all processes."""
        with self._lock:
            idle, self._idle = self._idle, []
            server, self._server = self._server, None
        for _, process in idle:
            process.kill()
        if server is not None:
            server.close()

    def _ask(self, request: dict[str, Any], sandbox: _Sandbox, *, reuse: bool) -> dict[str, Any]:
        """Return the response to a request. An image that ends its process is retried once in a new one."""
        name, timeout_s = Path(request["path"]).name, self._settings.timeout
        if not reuse:  # a person waits for it
            timeout_s = min(timeout_s, _THUMBNAIL_TIMEOUT_S)
        for process in (self._take_idle(sandbox), None):
            process = process or self._start(sandbox)
            try:
                response = process.ask(request, timeout_s)
            except DecodeTimeout as error:
                process.kill()
                hint = f"The limit is {timeout_s:g} seconds: decoder.timeout." if reuse else None
                raise ImageRefused(f"{name} takes too long to decode.", hint=hint) from error
            except ProcessEnded:
                process.kill()
                logger.warning("the process that decoded %s ended early", name)
                continue
            self._return(sandbox, process, reuse=reuse)
            if "bad" in response:
                kind = ImageRefused if response.get("refused") else BadImage
                raise kind(str(response["bad"]), hint=str(response["hint"]) if response.get("hint") else None)
            return response
        raise ImageRefused(f"{name} cannot be decoded: it crashes the decoder.")

    def _take_idle(self, sandbox: _Sandbox) -> DecodingProcess | None:
        """Return an idle process with this sandbox, or None."""
        with self._lock:
            for index, (idle_sandbox, process) in enumerate(self._idle):
                if idle_sandbox == sandbox:
                    del self._idle[index]
                    return process
        return None

    def _return(self, sandbox: _Sandbox, process: DecodingProcess, *, reuse: bool) -> None:
        surplus = []
        if reuse and process.decoded < _MAX_IMAGES:
            with self._lock:
                self._idle.append((sandbox, process))
                surplus = [self._idle.pop(0)[1]] if len(self._idle) > _MAX_IDLE else []
        else:
            surplus = [process]
        for old in surplus:
            old.kill()

    def _start(self, sandbox: _Sandbox) -> DecodingProcess:
        """Start a process. Raises DecoderUnavailable."""
        options = {
            "reads": [str(sandbox.reads)],
            "writes": [str(sandbox.writes)] if sandbox.writes else [],
            "memory_mb": self._settings.memory_mb,
            "file_mb": _THUMBNAIL_MB,
            "image_mb": self._settings.image_mb,
        }
        dead_server: ForkServer | None = None
        for _ in range(2):
            server = self._fork_server(dead_server)
            try:
                return server.fork(options)
            except ProcessEnded:
                dead_server = server
        raise DecoderUnavailable("The image decoder does not start.", hint="Check the machine with `renderctl doctor`.")

    def _fork_server(self, dead_server: ForkServer | None) -> ForkServer:
        """Return the fork server, started anew if there is none or only `dead_server`."""
        with self._start_lock:
            if self._server is None or self._server is dead_server:
                if dead_server is not None:
                    dead_server.close()
                self._server = ForkServer()
            return self._server


def _parse_facts(response: dict[str, Any], path: Path) -> ImageFacts:
    """Parse the facts of a response, which is untrusted."""
    facts = response.get("facts")
    if isinstance(facts, dict):
        width, height, channels, parts = (facts.get(name) for name in ("width", "height", "channels", "parts"))
        if all(type(count) is int and 0 < count < 1 << 31 for count in (width, height, channels, parts)):
            return ImageFacts(width, height, channels, parts, str(facts.get("format"))[:20])  # type: ignore[arg-type]
    raise ImageRefused(f"{path.name} cannot be decoded: the decoder's response is not valid.")
