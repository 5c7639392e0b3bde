"""The commands by name, each imported when it is called."""

import importlib
import inspect
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperGroup

from renderctl.cli.catalog import COMMANDS
from renderctl.cli.help_page import show_help
from renderctl.core.errors import did_you_mean

#: Typer brings a Click of its own along, and exports some of it only.
_UsageError: Any = typer.BadParameter.__bases__[0]
_EPILOG = "Every command takes --json, --quiet (-q), --debug and --config FILE, too."


class LazyGroup(TyperGroup):
    """Knows its commands by name; `--help` imports none of them."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module_name, _ = COMMANDS[cmd_name]
        command: Any = typer.main.get_command(importlib.import_module(f"renderctl.cli.commands.{module_name}").app)
        subcommand = getattr(command, "commands", {}).get(cmd_name, command)
        _finish(subcommand, ctx)
        return subcommand

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            raise _UsageError(f"There is no command {name!r}. {did_you_mean(name, list(COMMANDS))}", ctx)
        return super().resolve_command(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        show_help()


def _finish(command: Any, ctx: Any) -> None:
    """What a command, and those below it, share with all: how help wraps and ends, and that a flag takes no value."""
    command.epilog = _EPILOG
    paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    command.help = "\n\n".join(paragraph.replace("\n", " ") for paragraph in paragraphs)  # the terminal wraps them
    for below in getattr(command, "commands", {}).values():
        _finish(below, ctx)
    for parameter in (*command.params, command.get_help_option(ctx)):
        if getattr(parameter, "is_flag", False):
            parameter.metavar = ""


app = typer.Typer(
    cls=LazyGroup,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def renderctl() -> None:
    """A render farm controller for Blender: `renderctl render shot.blend -f 1-240`."""


def call(arguments: Sequence[str]) -> int:
    """Call the command that the arguments name; its exit code. Raises what the command raises, and usage errors."""
    command: Any = typer.main.get_command(app)
    try:
        with command.make_context("renderctl", list(arguments)) as context:  # `main` would swallow KeyboardInterrupt
            result = command.invoke(context)
    except typer.Exit as end:
        return int(end.exit_code)
    return result if isinstance(result, int) else 0
