"""The command line: one thin file a command group. Everything that is heavy is imported by the verb that needs it.

What `run` needs is imported inside it, so that Ctrl-C in the first tenth of a second is met by it, too.
"""

import io
import os
import sys
from collections.abc import Sequence


def main() -> None:
    """Run the command that the process was started with, and end it with the exit code that says how it went."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that can not spell a name still shows it
        elif stream is None:  # closed by the caller
            setattr(sys, name, io.StringIO())
    code = run(sys.argv[1:])
    try:
        sys.stdout.flush()
    except OSError:  # that was told already
        _fall_silent()
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run a command line; its exit code. The one place that turns errors into one."""
    try:
        from renderctl.cli.invocation import taken_from

        code = _called(taken_from(arguments))
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        _fall_silent()
        return 141
    except (Exception, KeyboardInterrupt) as error:
        from renderctl.cli.failures import report

        return report(error)
    finally:
        from renderctl.cli.invocation import close

        close()


def _fall_silent() -> None:
    """So that Python says nothing at exit of what it could not write."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _called(arguments: list[str]) -> int:
    from renderctl.cli.helping import show_help

    if not arguments or arguments[0] in ("-h", "--help"):
        show_help()
        return 0
    from renderctl.cli.group import call

    return call(["version"] if arguments[0] == "--version" else arguments)
