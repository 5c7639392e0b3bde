"""What people are asked on a terminal.

Passwords are typed, or sent by programs on standard input: never an argument, which everybody on the machine can read.
"""

import sys

import typer

from renderctl.cli import context
from renderctl.cli.ui import console, progress_display
from renderctl.cli.ui.escaping import escape_line
from renderctl.core.errors import UsageError
from renderctl.farm.models.outside_files import OnOutside, Outside, include_outside, refuse_outside


def new_password(whose: str) -> str:
    """A new password, asked for twice on a terminal, else the first line of standard input. Raises UsageError."""
    if sys.stdin.isatty():
        prompt = escape_line(f"New password of {whose}")
        return str(typer.prompt(prompt, hide_input=True, confirmation_prompt=True, err=True))
    return _line()


def password(prompt: str) -> str:
    """A password that there is, from a terminal or from a line of standard input. Raises UsageError."""
    return str(typer.prompt(escape_line(prompt), hide_input=True, err=True)) if sys.stdin.isatty() else _line()


def about_outside(said: OnOutside) -> OnOutside:
    """What decides about files outside the folder of a scene: what was said already, or who sits at the terminal."""
    if said is include_outside:
        return said
    asks = not context.current.json and sys.stdin.isatty() and sys.stderr.isatty()
    return _ask_about_outside if asks else refuse_outside


def _ask_about_outside(outside: Outside) -> None:
    with progress_display.paused():
        console.warn("\n".join(outside.lines))
        if not typer.confirm("Take them along?", err=True):
            raise outside.error()


def code() -> str:
    """A code of a second factor, from a terminal or from a line of standard input. Raises UsageError."""
    return str(typer.prompt("Code", err=True)) if sys.stdin.isatty() else _line("code of a second factor")


def _line(what: str = "password") -> str:
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise UsageError(f"There is no {what} on standard input.", hint="It is read from there, or from a terminal.")
    return line
