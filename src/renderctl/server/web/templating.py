"""Templates, and how they write times, sizes and states."""

import re
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from renderctl.core.models import Model

#: No dots alone, no slashes: browsers take such a path apart.
_PLAIN = re.compile(r"[^/\\%?#.][^/\\%?#]*")
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
    environment.filters |= {"duration": duration, "moment": moment, "size": size, "engine": engine, "place": place}
    return environment


def rendered(template: str, **values: Any) -> str:
    """The text of a page."""
    return _environment().get_template(f"{template}.html.j2").render(**values)


def duration(seconds: float) -> str:
    """Seconds as people say them: 4.2 s, 12 min, 3 h 20 min."""
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


def moment(said: str | datetime) -> datetime:
    """A time of a document."""
    return said if isinstance(said, datetime) else datetime.fromisoformat(said).astimezone(UTC)


def engine(identifier: str) -> str:
    """A render engine as artists call it."""
    name = identifier.removeprefix("BLENDER_").removesuffix("_NEXT")
    return name if name == "EEVEE" else name.capitalize()


def place(model: Model) -> str:
    """The address of a model's page: by its name, where that can be part of an address."""
    if not _PLAIN.fullmatch(model.name):
        return f"/models/{model.id}"
    return f"/models/{quote(model.ref, safe='@')}?{urlencode({'project': model.project})}"


def size(count: float) -> str:
    """Bytes as people say them."""
    for unit in ("bytes", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
