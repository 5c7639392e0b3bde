"""What a word on the command line comes to, where Typer would take what makes no sense."""

import math

import typer


def seconds(text: str) -> float:
    """A time to wait: neither endless nor negative. Raises BadParameter."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise typer.BadParameter(f"{text!r} is not a number of seconds.")
    return value


def some_text(text: str) -> str:
    """A name that has something in it. Raises BadParameter."""
    if not text.strip():
        raise typer.BadParameter("it is empty.")
    return text
