"""Errors as a user meets them: a sentence, a hint and an exit code; a document with `--json`."""

from typing import Any

import typer

from renderctl.cli import context
from renderctl.cli.ui import console
from renderctl.core.errors import Interrupted, OutputNotWritable, RenderctlError, UsageError
from renderctl.core.serialization import error_document

#: Typer brings a Click of its own along, and exports some of it only.
_UsageError: Any = typer.BadParameter.__bases__[0]


def report(error: BaseException) -> int:
    """Say what went wrong; the exit code for it."""
    known = _known(error)
    if context.current.debug:
        console.show_traceback(error)
    try:
        if context.current.json:
            console.show_line(error_document(known))
        else:
            console.print_error(known)
    except OutputNotWritable:
        console.print_error(known)
    return known.exit_code


def _known(error: BaseException) -> RenderctlError:
    if isinstance(error, RenderctlError):
        return error
    if isinstance(error, KeyboardInterrupt | typer.Abort):
        return Interrupted()
    if isinstance(error, _UsageError):
        usage: Any = error
        hint = f"`{usage.ctx.command_path} --help` shows how it is used." if usage.ctx else None
        return UsageError(usage.format_message(), hint=hint)
    sentence = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return RenderctlError(
        f"An unexpected error occurred: {sentence}",
        hint="Run it again with --debug to see where; please report it.",
    )
