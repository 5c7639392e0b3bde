"""docs/reference/cli.md, made from the commands' own help. `python -m tests.cli.reference` writes it."""

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path

from renderctl.cli import run
from renderctl.cli.catalog import COMMANDS

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"
_PAGES = [[], *([name] for name in COMMANDS), *(["models", sub] for sub in ("list", "show", "rm"))]
_PAGES += [*(["workers", sub] for sub in ("list", "drain", "resume")), ["database", "upgrade"]]
_PAGES += [
    ["users", sub]
    for sub in ("list", "add", "invite", "invitations", "withdraw", "role", "disable", "enable", "password")
]
_PAGES += [["users", "totp", sub] for sub in ("status", "enable", "confirm", "disable")]
_PAGES += [["projects", sub] for sub in ("list", "add", "pools", "join", "leave")]
_PAGES += [*(["tokens", sub] for sub in ("list", "create", "revoke")), ["audit", "verify"], ["audit", "adopt"]]
_PAGES += [["audit", "rotate-key"]]
_PAGES += [["sessions", sub] for sub in ("list", "end")]
_PAGES += [["webhooks", sub] for sub in ("list", "add", "rm", "deliveries", "resend", "test")]


def page() -> str:
    """What the file should hold."""
    parts = ["# Commands\n\nMade from `renderctl COMMAND --help` by `make docs`.\n"]
    for words in _PAGES:
        title = " ".join(["renderctl", *words])
        parts.append(f"## {title}\n\n```text\n{_help(words)}\n```\n")
    return "\n".join(parts)


def _help(words: list[str]) -> str:
    said = io.StringIO()
    with plain_terminal(), contextlib.redirect_stdout(said):
        run([*words, "--help"])
    return "\n".join(line.rstrip() for line in said.getvalue().strip().splitlines())


@contextlib.contextmanager
def plain_terminal() -> Iterator[None]:
    """A terminal of 100 columns, without colours, wherever this runs."""
    before = dict(os.environ)
    os.environ.update(COLUMNS="100", TERM="dumb", NO_COLOR="1", TERMINAL_WIDTH="100")
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
