"""The command line: one thin file a command group. Everything that is heavy is imported by the verb that needs it.

What `run` needs is imported inside it, so that Ctrl-C in the first tenth of a second is met by it, too.
"""

import gc
import io
import os
import signal
import sys
from collections.abc import Sequence
from typing import TextIO


def main() -> None:
    """Run the command that the process was started with, and end it with the exit code that says how it went."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that can not spell a name still shows it
        elif stream is None:  # closed by the caller
            setattr(sys, name, io.StringIO())
    code = run(sys.argv[1:])
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # that was told already, or can not be told
            _close_quietly(stream)
    os._exit(code)  # all is closed and written: to take the interpreter apart would take a tenth of a second


def run(arguments: Sequence[str]) -> int:
    """Run a command line; its exit code. The one place that turns errors into one."""
    try:
        from renderctl.cli.context import parse_global_options

        code = _dispatch(parse_global_options(arguments))
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        _close_quietly(sys.stdout)
        return 141
    except (Exception, KeyboardInterrupt) as error:
        if isinstance(error, KeyboardInterrupt):
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # once more, and the system ends us without a word
        from renderctl.cli.errors import report

        return report(error)
    finally:
        from renderctl.cli.context import close

        close()
        gc.enable()


def _close_quietly(stream: TextIO) -> None:
    """So that Python says nothing at exit of what it could not write, and keeps our exit code."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _dispatch(arguments: list[str]) -> int:
    from renderctl.cli.help_page import show_help

    if not arguments or arguments[0] in ("-h", "--help"):
        show_help()
        return 0
    if arguments[0] == "render":
        gc.disable()  # what is imported stays: to look through it for garbage would take a sixth of the time
        from renderctl.cli.prewarm import prewarm

        prewarm(arguments[1:])
    from renderctl.cli.app import call

    return call(["version"] if arguments[0] == "--version" else arguments)
