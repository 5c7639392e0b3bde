"""The page that `renderctl --help` shows. Typer's own would import every command, and a Markdown parser."""

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table


def show_help(groups: Mapping[str, Mapping[str, tuple[str, str]]], options: Mapping[str, str]) -> None:
    """The commands in their groups, and the options that go with all of them."""
    console = Console(highlight=False)
    console.print("\nrenderctl: a render farm controller for Blender.\n")
    console.print("  [bold]renderctl render shot.blend -f 1-240[/bold]      on this machine, with no set-up")
    console.print("  [bold]renderctl COMMAND --help[/bold]                  all about one command\n")
    for title, commands in groups.items():
        console.print(f"[bold]{title}[/bold]")
        console.print(_columns({name: summary for name, (_, summary) in commands.items()}))
    console.print("[bold]Options, in front of a command or after it[/bold]")
    console.print(_columns(options))


def _columns(rows: Mapping[str, str]) -> Table:
    columns = Table.grid(padding=(0, 2))
    columns.add_column(style="cyan", width=15)
    columns.add_column()
    for name, meaning in rows.items():
        columns.add_row(f"  {name}", meaning)
    return columns
