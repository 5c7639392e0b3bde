"""A `.env` file as Docker Compose reads it: what somebody has written stays, and what is missing comes behind it."""

import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from dotenv import dotenv_values
from dotenv.parser import parse_stream

from renderctl.core.errors import BadSettings

#: What needs no quotes in such a file.
_PLAIN = re.compile(r"[\w./+-]+", re.ASCII)


def read_env(path: Path) -> str:
    """What stands in the file, byte for byte; nothing if there is none.

    Raises BadSettings, with the line alone, if it can not be read or understood: nobody knows what it sets then.
    """
    try:
        text = path.read_bytes().decode() if path.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise BadSettings(f"{path} can not be read: {getattr(error, 'strerror', None) or 'it is no text'}.") from error
    for binding in parse_stream(io.StringIO(text)):
        if binding.error:
            hint = "A quote may be open, or `:` stand for `=`."
            raise BadSettings(f"Line {binding.original.line} of {path} is not NAME=VALUE.", hint=hint)
    return text


def missing_in(text: str, names: Sequence[str]) -> list[str]:
    """Those that are not set there, or to nothing: Docker Compose refuses both."""
    values = dotenv_values(stream=io.StringIO(text), interpolate=False)
    return [name for name in names if not values.get(name)]


def values_in(text: str) -> dict[str, str]:
    """What it sets. As with Docker Compose, the last line of a name counts, and values may be made of others."""
    return {name: value for name, value in dotenv_values(stream=io.StringIO(text)).items() if value}


def text_with(text: str, added: Mapping[str, str]) -> str:
    """The text as it is, and a line for each value behind it."""
    end = "" if not text or text.endswith("\n") else "\n"
    return text + end + "".join(f"{name}={_quoted(value)}\n" for name, value in added.items())


def _quoted(value: str) -> str:
    return value if _PLAIN.fullmatch(value) else "'" + value.replace("'", "\\'") + "'"
