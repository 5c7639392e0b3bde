"""What a word on the command line comes to, where Typer would take what makes no sense."""

import math
from datetime import UTC, datetime, timedelta

import typer


def seconds(text: str) -> float:
    """A time to wait: neither endless nor negative. Raises BadParameter."""
    return _time(text, "seconds")


def hours(text: str) -> float:
    """As `seconds`, in hours."""
    return _time(text, "hours")


def _time(text: str, unit: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise typer.BadParameter(f"{text!r} is not a number of {unit}.")
    return value


def age(text: str) -> timedelta:
    """A time that has gone by since: `30d`, `12h`, `45m`. Raises BadParameter."""
    units = {"d": "days", "h": "hours", "m": "minutes"}
    number, unit = text.strip()[:-1], text.strip()[-1:]
    if unit not in units or not number.isdecimal() or len(number) > 6:
        raise typer.BadParameter(f"{text!r} is no age.", param_hint="30d, 12h or 45m")
    return timedelta(**{units[unit]: int(number)})


def when(text: str) -> datetime:
    """A time: `2026-05-01`, `2026-05-01T14:30`, without a zone in this machine's; or so long ago: `2h`.

    Raises BadParameter.
    """
    if text.strip()[-1:] in ("d", "h", "m"):
        return datetime.now(UTC) - age(text)
    try:
        return datetime.fromisoformat(text.strip()).astimezone(UTC)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no time.", param_hint="2026-05-01, 2026-05-01T14:30 or 2h") from error


def non_empty(text: str) -> str:
    """A name that has something in it. Raises BadParameter."""
    if not text.strip():
        raise typer.BadParameter("it is empty.")
    return text
