"""Jinja templates, and their filters for times, sizes and names."""

import re
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from renderctl.core.models import Model

#: Names that can be a path segment: without slashes, and not only dots, which browsers resolve.
_PATH_SEGMENT = re.compile(r"[^/\\%?#.][^/\\%?#]*")
_UNITS = ((86_400, "d"), (3600, "h"), (60, "min"))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "duration": duration,
        "datetime": to_datetime,
        "file_size": file_size,
        "engine_name": engine_name,
        "model_path": model_path,
    }
    return environment


def render(template: str, **values: Any) -> str:
    """The HTML of a page."""
    return _environment().get_template(f"{template}.html.j2").render(**values)


def duration(seconds: float) -> str:
    """Seconds in readable units: 4.2 s, 12 min, 3 h 20 min."""
    if seconds < 10:
        return f"{max(0.0, seconds):.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    for index, (length, unit) in enumerate(_UNITS):
        if seconds >= length:
            whole, rest = divmod(seconds, length)
            smaller = _UNITS[index + 1 :][:1]
            part = f" {rest // smaller[0][0]:.0f} {smaller[0][1]}" if smaller and rest >= smaller[0][0] else ""
            return f"{whole:.0f} {unit}{part}"
    raise AssertionError(seconds)


def to_datetime(value: str | datetime) -> datetime:
    """The time of a field of a document, in UTC."""
    return value if isinstance(value, datetime) else datetime.fromisoformat(value).astimezone(UTC)


def engine_name(identifier: str) -> str:
    """The name of a render engine as Blender's interface has it."""
    name = identifier.removeprefix("BLENDER_").removesuffix("_NEXT")
    return name if name == "EEVEE" else name.capitalize()


def model_path(model: Model) -> str:
    """The path of a model's page: by its name, if that can be in a path, else by its id."""
    if not _PATH_SEGMENT.fullmatch(model.name):
        return f"/models/{model.id}"
    return f"/models/{quote(model.ref, safe='@')}?{urlencode({'project': model.project})}"


def file_size(count: float) -> str:
    """Bytes in readable units: 4.2 MiB."""
    for unit in ("bytes", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
