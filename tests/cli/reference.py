"""docs/reference/cli.md, made from the commands' own help. `python -m tests.cli.reference` writes it."""

import os
import subprocess
import sys
from pathlib import Path

from renderctl.cli.catalog import COMMANDS

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"
_PAGES = [[], *([name] for name in COMMANDS), *(["models", sub] for sub in ("list", "show", "rm"))]
_PAGES += [*(["workers", sub] for sub in ("list", "drain", "resume")), ["database", "upgrade"]]


def page() -> str:
    """What the file should hold."""
    parts = ["# Commands\n\nMade from `renderctl COMMAND --help` by `make docs`.\n"]
    for words in _PAGES:
        title = " ".join(["renderctl", *words])
        parts.append(f"## {title}\n\n```text\n{_help(words)}\n```\n")
    return "\n".join(parts)


def _help(words: list[str]) -> str:
    environment = {**os.environ, "COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1", "TERMINAL_WIDTH": "100"}
    command = [sys.executable, "-m", "renderctl", *words, "--help"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return "\n".join(line.rstrip() for line in done.stdout.strip().splitlines())


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
