"""The command line: one thin file a command group. Everything that is heavy is imported by the verb that needs it.

What `run` needs is imported inside it, so that Ctrl-C in the first tenth of a second is met by it, too.
"""

import io
import os
import sys
from collections.abc import Sequence


def main() -> None:
    """Run the command that the process was started with, and end it with the exit code that says how it went."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that can not spell a name still shows it
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run a command line; its exit code. The one place that turns errors into one."""
    try:
        from renderctl.cli.invocation import taken_from

        code = _called(taken_from(arguments))
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that nothing is said at exit
        return 141
    except (Exception, KeyboardInterrupt) as error:
        from renderctl.cli.failures import report

        return report(error)
    finally:
        from renderctl.cli.invocation import close

        close()


def _called(arguments: list[str]) -> int:
    from renderctl.cli.helping import show_help

    if not arguments or arguments[0] in ("-h", "--help"):
        show_help()
        return 0
    from renderctl.cli.group import call

    return call(["version"] if arguments[0] == "--version" else arguments)
