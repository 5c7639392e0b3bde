"""What the doctor says of a part."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from renderctl.core.errors import RenderctlError


@dataclass(frozen=True)
class Finding:
    """What was found out about one part."""

    part: str
    ok: bool
    finding: str
    hint: str | None = None  #: what to do; of a part that works: what could be better


def check_part(part: str, check: Callable[[], str], advice: Callable[[], Iterable[str]] = tuple) -> Finding:
    """What the check says, or how it fails; and of a part that works what to do better."""
    try:
        return Finding(part, True, check(), "\n".join(advice()) or None)
    except (RenderctlError, OSError) as error:
        return broken(part, error)


def broken(part: str, error: RenderctlError | OSError) -> Finding:
    """A part that does not work."""
    if isinstance(error, RenderctlError):
        return Finding(part, False, error.message, error.hint)
    return Finding(part, False, f"{error.filename or part}: {error.strerror or error}.")
