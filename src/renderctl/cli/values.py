"""What a word on the command line comes to, where Typer would take what makes no sense."""

import math

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


def some_text(text: str) -> str:
    """A name that has something in it. Raises BadParameter."""
    if not text.strip():
        raise typer.BadParameter("it is empty.")
    return text
