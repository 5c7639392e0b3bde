"""Results to stdout, as text or as JSON; notes and progress to stderr. Nothing else prints."""

import io
import json
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import Any

from rich.console import Console, RenderableType

from renderctl.cli import invocation, spelling
from renderctl.documents import document
from renderctl.errors import OutputNotWritable, RenderctlError

#: Columns of what goes into a file or a pipe.
_WIDTH = 200


def show(result: Any, view: Callable[[Any], RenderableType]) -> None:
    """The result of a command: the document of it with `--json`, else what the view makes of it."""
    if invocation.current.json:
        show_line(result)
    else:
        _print(view(result))


def show_line(result: Any) -> None:
    """One JSON document on a line of its own."""
    show_text(json.dumps(document(result)) + "\n")


def show_text(text: str) -> None:
    """Text as it is: a log. Raises OutputNotWritable, and BrokenPipeError when its reader has had enough."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputNotWritable(f"The result can not be printed: {error.strerror or error}.") from error


def note(text: str) -> None:
    """What a person may want to know, beside the result."""
    if not invocation.current.quiet:
        _say(text)


def warn(text: str) -> None:
    """What went wrong on the way, even with `--quiet`."""
    _say(text)


def complain(error: RenderctlError) -> None:
    """An error and what to do next, on stderr."""
    _say(f"Error: {error.message}" + (f"\n  {error.hint}" if error.hint else ""))


@cache
def errors() -> Console:
    """Standard error: one console, so that what is printed while a bar is drawn goes above it."""
    return Console(stderr=True)


def _say(text: str) -> None:
    with suppress(OSError):  # nobody listens any more; the work goes on
        if sys.stderr.isatty():
            errors().print(spelling.lines(text), markup=False, highlight=False, soft_wrap=True)
        else:
            sys.stderr.write(f"{spelling.lines(text)}\n")


def _print(renderable: RenderableType) -> None:
    if isinstance(renderable, str):
        renderable = spelling.lines(renderable)
    if sys.stdout.isatty():
        Console().print(renderable, markup=False, highlight=False)
        return
    plain = Console(width=_WIDTH, no_color=True, file=io.StringIO())
    plain.print(renderable, markup=False, highlight=False, soft_wrap=True)
    text = plain.file.getvalue()  # type: ignore[attr-defined]
    show_text("".join(f"{line.rstrip()}\n" for line in text.splitlines()))
