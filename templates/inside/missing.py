"""What becomes of a scene whose files are not all there."""

from inside.faults import SceneFault
from inside.files import File, missing_files

SHOWN = 10


def settle_missing(allowed: bool, notes: list[str]) -> None:
    """Raise SceneFault, naming what is missing, or (when `allowed`) say it in a note."""
    lost = missing_files()
    if not lost:
        return
    if not allowed:
        raise SceneFault(f"{_count(lost)} missing: {_named(lost)}. --allow-missing renders without.")
    notes.append(f"{_count(lost)} missing: {_named(lost)}.")


def _count(lost: list[File]) -> str:
    return "1 file is" if len(lost) == 1 else f"{len(lost)} files are"


def _named(lost: list[File]) -> str:
    shown = [f"{file.path} ({file.owner})" for file in lost[:SHOWN]]
    return ", ".join(shown) + (f", and {len(lost) - SHOWN} more" if len(lost) > SHOWN else "")
