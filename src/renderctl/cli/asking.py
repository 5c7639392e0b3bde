"""Passwords, as people type them or programs send them: never an argument, which everybody on the machine can read."""

import sys

import typer

from renderctl.cli.spelling import one_line
from renderctl.errors import UsageError


def new_password(whose: str) -> str:
    """A new password, asked for twice on a terminal, else the first line of standard input. Raises UsageError."""
    if sys.stdin.isatty():
        prompt = one_line(f"New password of {whose}")
        return str(typer.prompt(prompt, hide_input=True, confirmation_prompt=True, err=True))
    return _line()


def password(prompt: str) -> str:
    """A password that there is, from a terminal or from a line of standard input. Raises UsageError."""
    return str(typer.prompt(one_line(prompt), hide_input=True, err=True)) if sys.stdin.isatty() else _line()


def _line() -> str:
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise UsageError("There is no password on standard input.", hint="It is read from there, or from a terminal.")
    return line
