"""Upper bounds for requests and scene data, shared by the server, the use cases and session reports.

They are far above what people need, and low enough that one request cannot hold up the others. Limits of one farm,
such as the tasks of a job, are settings (`quota`).
"""

import math
from collections.abc import Sized

from renderctl.core.errors import InvalidInput

#: Characters of a name: the size of its column in the database.
MAX_NAME = 255
#: Characters of a path, and of a value of `--set`.
MAX_PATH, MAX_VALUE = 4000, 4000
#: Characters of a frame set such as `1-100,120,200-300x2`, and its ranges.
MAX_FRAMES_TEXT, MAX_FRAME_RANGES = 1 << 16, 20_000
#: Tasks of one job on any farm. A server accepts fewer by default: `quota.job_tasks`.
MAX_TASKS = 10_000_000
#: Items in the lists of a submission.
MAX_CAMERAS, MAX_AFTER, MAX_TAGS, MAX_PROPERTIES, MAX_REPLACEMENTS = 10_000, 100, 100, 1000, 1000
#: Files of a model or a job, and digests of one request.
MAX_FILES = 100_000
#: Items of a model's facts, and bytes of all facts as JSON.
MAX_SCENES, MAX_VIEW_LAYERS, MAX_SCRIPTS, MAX_UNBAKED = 1000, 1000, 10_000, 10_000
MAX_DEPENDENCIES, MAX_RELOCATIONS, MAX_FACTS_BYTES = 100_000, 10_000, 16 << 20
#: Bytes of facts that lists of models include in full; larger ones are abridged.
MAX_LISTED_FACTS_BYTES = 1 << 16
#: Notes of a job, and characters of a note.
MAX_NOTES, MAX_NOTE = 100, 2000
#: The largest integer that JSON, JavaScript and the columns of byte counts all represent exactly.
MAX_COUNT = 1 << 53


def require_text(what: str, value: object, most: int = MAX_NAME) -> None:
    """Require text of at most `most` characters that databases and file names can hold. Raises InvalidInput."""
    if not isinstance(value, str):
        raise InvalidInput(f"{what} is not text.")
    if len(value) > most:
        raise InvalidInput(f"{what} has {len(value)} characters.", hint=f"At most {most} are allowed.")
    if "\0" in value or (not value.isprintable() and any("\ud800" <= char <= "\udfff" for char in value)):
        raise InvalidInput(f"{what} has characters that are not text.")


def require_within(what: str, value: object, least: int, most: int) -> None:
    """Require a whole number from `least` to `most`. Raises InvalidInput."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidInput(f"{what} is not a whole number.")
    if not least <= value <= most:
        shown = value if abs(value) <= MAX_COUNT else "a number that is out of range"
        raise InvalidInput(f"{what} is {shown}.", hint=f"It must be {least} to {most}.")


def require_number(what: str, value: object, least: float, most: float) -> None:
    """Require a finite number from `least` to `most`. Raises InvalidInput."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise InvalidInput(f"{what} is not a number.")
    if not least <= value <= most:
        raise InvalidInput(f"{what} is out of range.", hint=f"It must be {least:g} to {most:g}.")


def require_few(what: str, items: Sized, most: int) -> None:
    """Require at most `most` items. Raises InvalidInput."""
    if len(items) > most:
        raise InvalidInput(f"There are {len(items)} {what}.", hint=f"At most {most} are allowed.")
