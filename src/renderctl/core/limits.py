"""How much of anything a request or a scene may say: one place for the server, the use-cases and what sessions report.

They are far above what people need, and low enough that one request can not hold up the others. What belongs to one
farm, such as how many tasks a job may have there, is a setting (`quota`).
"""

import math
from collections.abc import Sized

from renderctl.core.errors import InvalidInput

#: Characters of what people and scenes name: as many as its column in the database has.
MAX_NAME = 255
#: Characters of a path, and of a value of `--set`.
MAX_PATH, MAX_VALUE = 4000, 4000
#: Characters of `1-100,120,200-300x2`, and how many ranges they may come to.
MAX_FRAMES_TEXT, MAX_FRAME_RANGES = 1 << 16, 20_000
#: Tasks of one job on any farm. What a server takes by default is less: `quota.job_tasks`.
MAX_TASKS = 10_000_000
#: Items of the lists of a job's request.
MAX_CAMERAS, MAX_AFTER, MAX_TAGS, MAX_PROPERTIES, MAX_REPLACEMENTS = 10_000, 100, 100, 1000, 1000
#: Files of a model or a job, and digests that are asked for at a time.
MAX_FILES = 100_000
#: Items of what is known of a model, and bytes of all of it as a document.
MAX_SCENES, MAX_VIEW_LAYERS, MAX_SCRIPTS, MAX_UNBAKED = 1000, 1000, 10_000, 10_000
MAX_DEPENDENCIES, MAX_RELOCATIONS, MAX_FACTS_BYTES = 100_000, 10_000, 16 << 20
#: Bytes of them up to which lists of models have all of it.
MAX_LISTED_FACTS_BYTES = 1 << 16
#: What a job notes for its artist, and characters of a note.
MAX_NOTES, MAX_NOTE = 100, 2000
#: The largest number that JSON, JavaScript and every column for numbers of bytes agree on.
MAX_COUNT = 1 << 53


def require_text(what: str, value: object, most: int = MAX_NAME) -> None:
    """Text that every database and file name can hold, of `most` characters. Raises InvalidInput."""
    if not isinstance(value, str):
        raise InvalidInput(f"{what} is not text.")
    if len(value) > most:
        raise InvalidInput(f"{what} has {len(value)} characters.", hint=f"At most {most} are taken.")
    if "\0" in value or (not value.isprintable() and any("\ud800" <= char <= "\udfff" for char in value)):
        raise InvalidInput(f"{what} has characters that are not text.")


def require_within(what: str, value: object, least: int, most: int) -> None:
    """A whole number from `least` to `most`. Raises InvalidInput."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidInput(f"{what} is not a whole number.")
    if not least <= value <= most:
        shown = value if abs(value) <= MAX_COUNT else "a number that is out of range"
        raise InvalidInput(f"{what} is {shown}.", hint=f"It goes from {least} to {most}.")


def require_number(what: str, value: object, least: float, most: float) -> None:
    """A finite number from `least` to `most`. Raises InvalidInput."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise InvalidInput(f"{what} is not a number.")
    if not least <= value <= most:
        raise InvalidInput(f"{what} is out of range.", hint=f"It goes from {least:g} to {most:g}.")


def require_few(what: str, items: Sized, most: int) -> None:
    """At most so many. Raises InvalidInput."""
    if len(items) > most:
        raise InvalidInput(f"There are {len(items)} {what}.", hint=f"At most {most} are taken.")
