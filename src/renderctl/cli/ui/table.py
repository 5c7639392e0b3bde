"""Tables, and how they write states, sizes, times and numbers."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from renderctl.cli.ui.escaping import escape_line, escape_lines

_COLOURS = {
    "queued": "yellow",
    "running": "cyan",
    "paused": "magenta",
    "succeeded": "green",
    "failed": "red",
    "canceled": "bright_black",
    "active": "green",
    "draining": "yellow",
    "unhealthy": "red",
    "quarantined": "red",
    "lost": "red",
    "gone": "bright_black",
}


def state(name: str) -> Text:
    return Text(str(name), style=_COLOURS.get(str(name), ""))


def counted(count: int, noun: str) -> str:
    """`1 job`, `2 jobs`."""
    return f"{count} {noun}{'s' * (count != 1)}"


def size(count: float) -> str:
    """Bytes, readable."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def duration(seconds: float | None) -> str:
    """Seconds, readable; empty for None."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def moment(text: str | None) -> str:
    """A UTC time in the user's own zone."""
    if text is None:
        return ""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def grid(rows: Iterable[tuple[str, RenderableType | None]]) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold")
    grid.add_column(overflow="fold")
    for name, value in rows:
        if value is not None and value != "":
            grid.add_row(name, Text(escape_lines(value)) if isinstance(value, str) else value)
    return grid


class _Rows(Table):
    """A table that shows all text as it is."""

    def add_row(self, *cells: RenderableType | None, **more: Any) -> None:
        """A row; what is in it is neither markup nor an order to the terminal."""
        super().add_row(*(Text(escape_line(cell)) if isinstance(cell, str) else cell for cell in cells), **more)


def new_table(*columns: str) -> Table:
    table = _Rows(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
