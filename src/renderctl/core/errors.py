"""All errors that a user can meet: the message (the docstring's first line), the exit code and a hint.

RenderctlError
├── InvalidInput (9)         SceneNotFound, SceneUnreadable, MissingFiles, UnknownName, BadFrames, BadSettings, …
├── NotFound (6)             no such job, model, task or worker
├── NotAllowed (7)          LoginNeeded, LoginRefused, TooManyGuesses, TokenRefused, InvitationRefused, QuotaExceeded, …
├── Unreachable (8)          StoreUnavailable, DatabaseUnavailable, BlenderMissing, …
├── JobFailed (3), JobCanceled (4), GaveUpWaiting (5), Interrupted (130)
└── IllegalTransition, AttemptSuperseded, …: raised and handled by use cases
"""

import re
from collections.abc import Mapping, Sequence


class RenderctlError(Exception):
    """An unexpected error occurred."""

    exit_code = 1
    #: The hint of an error that is raised without one.
    default_hint: str | None = None
    #: Seconds after which the same request may succeed, if known: `Retry-After` over HTTP.
    retry_after_s: float | None = None

    def __init__(
        self, message: str | None = None, *, hint: str | None = None, retry_after_s: float | None = None
    ) -> None:
        self.message = message or (self.__doc__ or type(self).__name__).strip().splitlines()[0]
        self.hint = hint or self.default_hint
        self.retry_after_s = retry_after_s if retry_after_s is not None else self.retry_after_s
        super().__init__(self.message)

    @property
    def details(self) -> Mapping[str, object]:
        """Further fields of the error's JSON document."""
        return {}

    @property
    def code(self) -> str:
        """A stable name for programs: `SceneNotFound` -> `scene_not_found`."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", type(self).__name__).lower()


class UsageError(RenderctlError):
    """The options cannot be combined."""

    exit_code = 2


class JobFailed(RenderctlError):
    """The job failed."""

    exit_code = 3


class JobCanceled(RenderctlError):
    """The job was canceled."""

    exit_code = 4


class GaveUpWaiting(RenderctlError):
    """The job did not finish in time; it continues on the farm."""

    exit_code = 5


class NotFound(RenderctlError):
    """The object does not exist."""

    exit_code = 6


class NotAllowed(RenderctlError):
    """You are not allowed to do that."""

    exit_code = 7


class LoginNeeded(NotAllowed):
    """You are not logged in."""


class LoginRefused(NotAllowed):
    """The name or the password is wrong."""


class CodeNeeded(LoginRefused):
    """A code of the second factor is required."""


class TooManyGuesses(NotAllowed):
    """There were too many wrong attempts."""


class TokenRefused(NotAllowed):
    """The token or the login is no longer valid."""


class TooManyRequests(NotAllowed):
    """There are too many requests of this kind at a time."""

    retry_after_s = 2.0


class QuotaExceeded(NotAllowed):
    """This exceeds your quota."""


class InvitationRefused(NotAllowed):
    """The invitation is invalid or has expired."""


class Unreachable(RenderctlError):
    """A part of the farm is out of reach."""

    exit_code = 8


class StoreUnavailable(Unreachable):
    """The store is out of reach."""


class StoreFull(StoreUnavailable):
    """The store is full."""


class ServerUnavailable(Unreachable):
    """The server is out of reach."""


class BadAnswer(RenderctlError):
    """The server's response is not valid."""

    exit_code = 8
    default_hint = "Is it a renderctl server of this version, and one that you trust?"


class DatabaseUnavailable(Unreachable):
    """The database is out of reach."""


class SubmissionLost(Unreachable):
    """The submission made no progress for minutes and was dropped."""

    default_hint = "No job was created. Submit it again."


class DatabaseOutdated(Unreachable):
    """The database belongs to another version of renderctl."""


class QueueUnavailable(Unreachable):
    """The queue is out of reach."""


class EngineUnavailable(Unreachable):
    """The container engine is out of reach."""


class EngineRefused(Unreachable):
    """The container engine cannot do that."""


class Busy(Unreachable):
    """The server is busy with this request for another user."""

    retry_after_s = 2.0


class DecoderUnavailable(Unreachable):
    """The image decoder cannot be started."""


class Overloaded(Busy):
    """The server is overloaded."""

    retry_after_s = 5.0


class BlenderMissing(Unreachable):
    """No Blender was found."""


class ImageMissing(BlenderMissing):
    """There is no such render image."""


class PullFailed(Unreachable):
    """The render image cannot be pulled."""


class BuilderMissing(Unreachable):
    """No program to build images was found: a `docker` with BuildKit."""

    default_hint = "Install Docker's client with its buildx plug-in; the engine may run on another machine."


class BuildFailed(RenderctlError):
    """The render image could not be built."""


class LibraryMissing(Unreachable):
    """A system library that Blender needs is missing."""


class SandboxMissing(Unreachable):
    """No sandbox is available to keep untrusted scenes from this machine's files."""


class SandboxTooWide(Unreachable):
    """The sandbox would expose folders that no session may see."""


class InvalidInput(RenderctlError):
    """The input is not valid."""

    exit_code = 9


class SceneNotFound(InvalidInput):
    """The scene file does not exist."""


class SceneUnreadable(InvalidInput):
    """The file is not a scene that Blender can open."""


class SceneTooNew(SceneUnreadable):
    """The scene was saved by a newer Blender than any available."""


class MissingFiles(InvalidInput):
    """The scene needs files that are missing."""


class OutsideFiles(InvalidInput):
    """The scene uses files outside its own folder."""

    def __init__(
        self, message: str | None = None, *, hint: str | None = None, files: Sequence[Mapping[str, object]] = ()
    ) -> None:
        super().__init__(message, hint=hint)
        self.files = files  #: `path`, `size` (bytes) and `owner` of each file

    @property
    def details(self) -> Mapping[str, object]:
        """The files, for programs."""
        return {"files": self.files}


class FileChanged(InvalidInput):
    """A file changed while it was in use."""


class UnknownName(InvalidInput):
    """The scene has no object of that name."""


class BadFrames(InvalidInput):
    """The frames are not valid."""


class BadSettings(InvalidInput):
    """The config is not valid."""


class UntrustedConfig(BadSettings):
    """The config in this folder is not approved."""


class OutputNotWritable(InvalidInput):
    """The output directory cannot be written to."""


class TooLarge(InvalidInput):
    """The request is larger than the server accepts."""


class TooSlow(InvalidInput):
    """The request arrived too slowly."""


class WorkerNameTaken(InvalidInput):
    """Another worker uses that name."""


class Conflict(InvalidInput):
    """The idempotency key was used for another request."""


class IllegalTransition(RenderctlError):
    """This is not possible in the present state."""

    exit_code = 9


class NotStored(NotFound):
    """The store has no such blob."""


class DigestMismatch(RenderctlError):
    """The bytes do not match their digest."""


class BlobDamaged(DigestMismatch):
    """The stored blob is damaged."""

    default_hint = "Upload the same file again: that replaces the blob."


class BlobCollected(Conflict):
    """Garbage collection removed files while they were being uploaded."""

    default_hint = "Repeat it: files that are still stored are not sent again."


class AttemptSuperseded(RenderctlError):
    """The task belongs to a newer attempt."""


class SessionEnded(RenderctlError):
    """Blender exited before it responded."""


class BadImage(RenderctlError):
    """The file that Blender wrote is not a complete image."""


class ImageRefused(BadImage):
    """The image is not what was requested, or too large to decode."""


class Interrupted(RenderctlError):
    """Interrupted."""

    exit_code = 130


def did_you_mean(word: str, known: list[str]) -> str | None:
    """Return a hint with the closest of the `known` words, or a list of them; None if there are none."""
    import difflib

    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if near:
        return f"Did you mean {near[0]!r}?"
    if not known:
        return None
    shown = ", ".join(known[:12]) + (f", … ({len(known)} in all)" if len(known) > 12 else "")
    return f"Available: {shown}"
