"""The page that `renderctl --help` shows. Typer's own would import every command, and Rich with a Markdown parser."""

import os
import sys
from collections.abc import Iterator, Mapping

from renderctl.cli.catalog import GROUPS, OPTIONS

_BOLD, _CYAN, _PLAIN = "\033[1m", "\033[36m", "\033[0m"


def show_help() -> None:
    """The commands in their groups, and the options that go with all of them."""
    coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    for line in help_lines():
        print(line if coloured else line.replace(_BOLD, "").replace(_CYAN, "").replace(_PLAIN, ""))


def help_lines() -> Iterator[str]:
    """The page, in colours."""
    yield "renderctl: a render farm controller for Blender."
    yield ""
    yield f"  {_BOLD}renderctl render shot.blend -f 1-240{_PLAIN}   on this machine, with no set-up"
    yield f"  {_BOLD}renderctl COMMAND --help{_PLAIN}               all about one command"
    for title, commands in GROUPS.items():
        yield from _columns(title, {name: summary for name, (_, summary) in commands.items()})
    yield from _columns("Options, in front of a command or after it", OPTIONS)


def _columns(title: str, rows: Mapping[str, str]) -> Iterator[str]:
    yield ""
    yield f"{_BOLD}{title}{_PLAIN}"
    for name, meaning in rows.items():
        yield f"  {_CYAN}{name:15}{_PLAIN}{meaning}"
