"""The command line: one thin file a command group. Everything that is heavy is imported by the verb that needs it."""

import sys

from renderctl.cli.group import run


def main() -> None:
    """Run the command that the process was started with, and end it with the exit code that says how it went."""
    sys.exit(run(sys.argv[1:]))
