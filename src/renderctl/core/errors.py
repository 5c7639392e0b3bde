"""Every error a user can meet: its first sentence, its exit code, and what to do next.

RenderctlError
├── InvalidInput (9)         SceneNotFound, SceneUnreadable, MissingFiles, UnknownName, BadFrames, BadSettings, …
├── NotFound (6)             no such job, model, task or worker
├── NotAllowed (7)          LoginNeeded, LoginRefused, TooManyGuesses, TokenRefused, InvitationRefused, QuotaExceeded, …
├── Unreachable (8)          StoreUnavailable, DatabaseUnavailable, BlenderMissing, …
├── JobFailed (3), JobCanceled (4), GaveUpWaiting (5), Interrupted (130)
└── IllegalTransition, AttemptSuperseded, …: what a use-case meets and handles
"""

import re
from collections.abc import Mapping, Sequence


class RenderctlError(Exception):
    """Something went wrong that renderctl did not expect."""

    exit_code = 1
    #: What to do, where whoever raises it knows nothing better.
    default_hint: str | None = None
    #: Seconds after which the same request may succeed, where that is known: `Retry-After` over HTTP.
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
        """What a program is told beside the sentence."""
        return {}

    @property
    def code(self) -> str:
        """A stable name for programs: `SceneNotFound` -> `scene_not_found`."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", type(self).__name__).lower()


class UsageError(RenderctlError):
    """The options do not fit together."""

    exit_code = 2


class JobFailed(RenderctlError):
    """The job failed."""

    exit_code = 3


class JobCanceled(RenderctlError):
    """The job was canceled."""

    exit_code = 4


class GaveUpWaiting(RenderctlError):
    """The job did not end in time; it goes on without us."""

    exit_code = 5


class NotFound(RenderctlError):
    """There is no such thing."""

    exit_code = 6


class NotAllowed(RenderctlError):
    """You may not do that."""

    exit_code = 7


class LoginNeeded(NotAllowed):
    """You are not logged in."""


class LoginRefused(NotAllowed):
    """The name or the password is wrong."""


class CodeNeeded(LoginRefused):
    """A code of the second factor is needed."""


class TooManyGuesses(NotAllowed):
    """There were too many wrong attempts."""


class TokenRefused(NotAllowed):
    """The token or the log-in is not valid any more."""


class TooManyRequests(NotAllowed):
    """You ask for too much of this at a time."""

    retry_after_s = 2.0


class QuotaExceeded(NotAllowed):
    """That is more than your quota allows."""


class InvitationRefused(NotAllowed):
    """The invitation is not valid, or not any more."""


class Unreachable(RenderctlError):
    """A part of the farm is out of reach."""

    exit_code = 8


class StoreUnavailable(Unreachable):
    """The store is out of reach."""


class StoreFull(StoreUnavailable):
    """The store has no room left."""


class ServerUnavailable(Unreachable):
    """The server is out of reach."""


class BadAnswer(RenderctlError):
    """The server's answer makes no sense."""

    exit_code = 8

    default_hint = "Is it a renderctl of this version, and one that you trust?"


class DatabaseUnavailable(Unreachable):
    """The database is out of reach."""


class SubmissionLost(Unreachable):
    """The submission stood still for minutes, and was given up."""

    default_hint = "There is no job of it. Submit it again."


class DatabaseOutdated(Unreachable):
    """The database was made by another version of renderctl."""


class QueueUnavailable(Unreachable):
    """The queue is out of reach."""


class EngineUnavailable(Unreachable):
    """The container engine is out of reach."""


class EngineRefused(Unreachable):
    """The container engine can not do that."""


class Busy(Unreachable):
    """The server is doing this for somebody else."""

    retry_after_s = 2.0


class DecoderUnavailable(Unreachable):
    """What decodes images can not be started."""


class Overloaded(Busy):
    """The server has as many requests as it can take."""

    retry_after_s = 5.0


class BlenderMissing(Unreachable):
    """No Blender was found."""


class ImageMissing(BlenderMissing):
    """There is no such render image."""


class PullFailed(Unreachable):
    """The render image can not be pulled."""


class BuilderMissing(Unreachable):
    """There is no program that builds images: a `docker` with BuildKit."""

    default_hint = "Install Docker's client and its buildx plug-in; they may be on another machine than the engine."


class BuildFailed(RenderctlError):
    """The render image could not be built."""


class LibraryMissing(Unreachable):
    """A system library that Blender needs is missing."""


class SandboxMissing(Unreachable):
    """Nothing keeps a stranger's scene from this machine's files."""


class SandboxTooWide(Unreachable):
    """A session would see what no session may."""


class InvalidInput(RenderctlError):
    """The input is not valid."""

    exit_code = 9


class SceneNotFound(InvalidInput):
    """There is no such scene file."""


class SceneUnreadable(InvalidInput):
    """The file is not a scene that Blender can open."""


class SceneTooNew(SceneUnreadable):
    """The scene was saved by a newer Blender than any that is here."""


class MissingFiles(InvalidInput):
    """The scene needs files that are not there."""


class OutsideFiles(InvalidInput):
    """The scene names files outside its own folder."""

    def __init__(
        self, message: str | None = None, *, hint: str | None = None, files: Sequence[Mapping[str, object]] = ()
    ) -> None:
        super().__init__(message, hint=hint)
        self.files = files  #: `path`, `size` and `owner` of each

    @property
    def details(self) -> Mapping[str, object]:
        return {"files": self.files}


class FileChanged(InvalidInput):
    """A file changed while it was used."""


class UnknownName(InvalidInput):
    """The scene has nothing of that name."""


class BadFrames(InvalidInput):
    """The frames make no sense."""


class BadSettings(InvalidInput):
    """The config is not valid."""


class UntrustedConfig(BadSettings):
    """The config of this folder was not approved."""


class OutputNotWritable(InvalidInput):
    """The output directory can not be written to."""


class TooLarge(InvalidInput):
    """That is larger than the server takes."""


class TooSlow(InvalidInput):
    """The request came too slowly."""


class WorkerNameTaken(InvalidInput):
    """Another worker has that name."""


class Conflict(InvalidInput):
    """The same idempotency key was used for another request."""


class IllegalTransition(RenderctlError):
    """That can not be done in this state."""

    exit_code = 9


class NotStored(NotFound):
    """The store has no such blob."""


class DigestMismatch(RenderctlError):
    """The bytes are not those that were promised."""


class BlobDamaged(DigestMismatch):
    """The store has other bytes than were put in it."""

    default_hint = "Upload the same file again: that puts it anew."


class BlobCollected(Conflict):
    """The store was cleaned up while files were being sent to it."""

    default_hint = "Do it again: what is still there is not sent twice."


class AttemptSuperseded(RenderctlError):
    """The task belongs to another attempt by now."""


class SessionEnded(RenderctlError):
    """Blender ended before it had answered."""


class BadImage(RenderctlError):
    """The file that Blender wrote is not a whole image."""


class ImageRefused(BadImage):
    """The image is not what was asked for, or more than is decoded here."""


class Interrupted(RenderctlError):
    """Interrupted."""

    exit_code = 130


def did_you_mean(word: str, known: list[str]) -> str | None:
    """A hint that names the likeliest of the `known` words, and the others when they are few."""
    import difflib

    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if near:
        return f"Did you mean {near[0]!r}?"
    if not known:
        return None
    shown = ", ".join(known[:12]) + (f", … ({len(known)} in all)" if len(known) > 12 else "")
    return f"There is: {shown}"
