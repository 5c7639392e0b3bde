"""Results to stdout, as text or as JSON; notes and progress to stderr. Nothing else prints.

Here is the one gate to a terminal: what stems from other people (names, reasons, logs) is escaped on its way through,
whether or not a view has thought of it. JSON is exempt; it has an escaping of its own.
"""

import io
import json
import sys
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from typing import TypeVar

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from renderctl.cli import context
from renderctl.cli.ui import escaping
from renderctl.core.errors import OutputNotWritable, RenderctlError
from renderctl.core.serialization import to_json_value

Result = TypeVar("Result")
#: Columns of what goes into a file or a pipe.
_WIDTH = 200


def show(result: Result, view: Callable[[Result], RenderableType]) -> None:
    """The result of a command: the document of it with `--json`, else what the view makes of it."""
    if context.current.json:
        show_line(result)
    else:
        _print(view(result))


def show_line(result: object) -> None:
    """One JSON document on a line of its own."""
    _write(json.dumps(to_json_value(result)) + "\n")


def show_list(results: Iterable[object]) -> None:
    """One JSON list, written while its items come: a log may be long."""
    separator = "["
    for result in results:
        _write(separator + json.dumps(to_json_value(result)))
        separator = ", "
    _write("]\n" if separator == ", " else "[]\n")


def show_text(text: str) -> None:
    """Text: a log, a line. Raises OutputNotWritable, and BrokenPipeError when its reader has had enough."""
    _write(escaping.escape_log(text))


def _write(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputNotWritable(f"The result can not be printed: {error.strerror or error}.") from error


def note(text: str) -> None:
    """What a person may want to know, beside the result."""
    if not context.current.quiet:
        _say(text)


def warn(text: str) -> None:
    """What went wrong on the way, even with `--quiet`."""
    _say(text)


def print_error(error: RenderctlError) -> None:
    """An error and what to do next, on stderr."""
    _say(f"Error: {error.message}" + (f"\n  {error.hint}" if error.hint else ""))


def show_traceback(error: BaseException) -> None:
    """Where an error came from, for `--debug`."""
    _say("".join(traceback.format_exception(error)).rstrip("\n"))


class SafeConsole(Console):
    """A console whose text gives no orders to the terminal; rich's own cursor movements and colours do."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(escaping.escape_lines(segment.text), segment.style)


@cache
def errors() -> Console:
    """Standard error: one console, so that what is printed while a bar is drawn goes above it."""
    return SafeConsole(stderr=True)


def _say(text: str) -> None:
    with suppress(OSError):  # nobody listens any more; the work goes on
        if sys.stderr.isatty():
            errors().print(escaping.escape_lines(text), markup=False, highlight=False, soft_wrap=True)
        else:
            sys.stderr.write(f"{escaping.escape_lines(text)}\n")


def _print(renderable: RenderableType) -> None:
    if isinstance(renderable, str):
        renderable = escaping.escape_lines(renderable)
    if sys.stdout.isatty():
        SafeConsole().print(renderable, markup=False, highlight=False)
        return
    plain = SafeConsole(width=_WIDTH, no_color=True, file=io.StringIO())
    plain.print(renderable, markup=False, highlight=False, soft_wrap=True)
    text = plain.file.getvalue()  # type: ignore[attr-defined]
    show_text("".join(f"{line.rstrip()}\n" for line in text.splitlines()))
