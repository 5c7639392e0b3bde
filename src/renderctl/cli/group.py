"""The commands by name, each imported when it is called, and the one place that turns errors into exit codes."""

import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from renderctl import __version__
from renderctl.cli import invocation
from renderctl.cli.failures import report
from renderctl.cli.helping import show_help
from renderctl.errors import did_you_mean

#: Command -> the module below `renderctl.cli` that has it, and what the list of commands says about it.
GROUPS: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "On this machine": {
        "render": ("render", "Render a scene here, from the file to the images."),
        "doctor": ("doctor", "Check every configured part."),
        "init": ("init", "Write a config file."),
    },
    "Jobs": {
        "submit": ("submit", "Queue a scene or a model for the workers of the farm."),
        "jobs": ("jobs", "List jobs."),
        "status": ("jobs", "Say where a job stands, and why it waits."),
        "watch": ("jobs", "Follow a job until it ends."),
        "logs": ("logs", "Show what Blender printed."),
        "download": ("download", "Fetch a job's images."),
        "cancel": ("control", "Stop a job; finished frames are kept."),
        "pause": ("control", "Let running frames finish and start no more."),
        "resume": ("control", "Go on with a paused job."),
        "retry": ("control", "Render again what failed, or the given frames."),
        "priority": ("control", "Change a job's priority."),
    },
    "Models": {
        "upload": ("upload", "Upload a scene and all that it depends on."),
        "models": ("models", "List, show and remove models."),
    },
    "The farm": {
        "worker": ("worker", "Work for the farm: take turns, render, publish."),
        "workers": ("workers", "List, drain and resume workers."),
        "sweep": ("sweep", "Repair now what crashed."),
        "database": ("database", "Upgrade the database."),
    },
}
COMMANDS = {name: command for group in GROUPS.values() for name, command in group.items()}

_OPTIONS = {
    "--json": "One JSON document on stdout, for an error too.",
    "-q, --quiet": "No progress and no notes.",
    "--debug": "Tracebacks and all logs.",
    "--config FILE": "Another config file.",
    "--version": "Show the version.",
    "-h, --help": "Show this, or the help of a command.",
}

#: Typer brings a Click of its own along, and exports some of it only.
_UsageError: Any = typer.BadParameter.__bases__[0]


class LazyGroup(TyperGroup):
    """Knows its commands by name; `--help` imports none of them."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        module_name, _ = COMMANDS[cmd_name]
        command: Any = typer.main.get_command(importlib.import_module(f"renderctl.cli.{module_name}").app)
        return getattr(command, "commands", {}).get(cmd_name, command)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name = args[0]
        if name not in COMMANDS and not name.startswith("-"):
            raise _UsageError(f"There is no command {name!r}. {did_you_mean(name, list(COMMANDS))}", ctx)
        return super().resolve_command(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        show_help(GROUPS, _OPTIONS)


app = typer.Typer(
    cls=LazyGroup,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"renderctl {__version__}")
        raise typer.Exit


@app.callback()
def renderctl(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """A render farm controller for Blender: `renderctl render shot.blend -f 1-240`."""


def run(arguments: Sequence[str]) -> int:
    """Run a command line; its exit code."""
    try:
        rest = invocation.taken_from(arguments)
        result = typer.main.get_command(app).main(rest or ["--help"], prog_name="renderctl", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except typer.Exit as end:
        return int(end.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that nothing is said at exit
        return 141
    except (Exception, KeyboardInterrupt) as error:
        return report(error)
