"""Handling of missing files."""

from session_lib.faults import SceneFault
from session_lib.files import File, missing_files

MAX_SHOWN = 10


def check_missing_files(allowed: bool, notes: list[str]) -> None:
    """Raise SceneFault with the missing files, or add a note if they are allowed."""
    missing = missing_files()
    if not missing:
        return
    if not allowed:
        raise SceneFault(f"{_count(missing)} missing: {_list_files(missing)}. --allow-missing renders without them.")
    notes.append(f"{_count(missing)} missing: {_list_files(missing)}.")


def _count(missing: list[File]) -> str:
    return "1 file is" if len(missing) == 1 else f"{len(missing)} files are"


def _list_files(missing: list[File]) -> str:
    shown = [f"{file.path} ({file.owner})" for file in missing[:MAX_SHOWN]]
    return ", ".join(shown) + (f", and {len(missing) - MAX_SHOWN} more" if len(missing) > MAX_SHOWN else "")
