"""What holds for the whole command line, wherever it stands in it: `--json`, `--quiet`, `--debug`, `--config`."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from renderctl import wiring
from renderctl.core.errors import InvalidInput, UsageError

if TYPE_CHECKING:
    from renderctl.cli.prewarm import Prewarmed
    from renderctl.farm.prewarm import PrewarmedBlender
    from renderctl.wiring import Commands, LocalCommands
    from renderctl.wiring.ports import Closable


@dataclass
class CliContext:
    """How this process was called."""

    json: bool = False
    quiet: bool = False
    debug: bool = False
    config: Path | None = None


#: The one of this process; `taken_from` fills it.
current = CliContext()
_opened: "list[Closable]" = []
#: A Blender that was started before anything else was imported; `renderctl.cli.prewarm` makes it.
prewarmed: "Prewarmed | None" = None


def parse_global_options(arguments: Sequence[str]) -> list[str]:
    """Take the global options out of the arguments, wherever they stand, and return the rest."""
    global current
    current = CliContext()
    rest: list[str] = []
    words = iter(arguments)
    for word in words:
        if word == "--":
            rest += [word, *words]
        if word == "--json":
            current.json = True
        elif word in ("--quiet", "-q"):
            current.quiet = True
        elif word == "--debug":
            current.debug = True
        elif word.startswith("--config="):
            current.config = Path(word.removeprefix("--config="))
        elif word == "--config":
            current.config = Path(_value(words))
        else:
            rest.append(word)
    for word in arguments:
        _require_text(word)
    return rest


def _require_text(word: str) -> None:
    try:
        word.encode()
    except UnicodeEncodeError as error:
        hint = "Rename the file, or type the name anew."
        raise InvalidInput(f"{os.fsencode(word)!r} is not text in UTF-8.", hint=hint) from error


def _value(words: Iterator[str]) -> str:
    value = next(words, None)
    if value is None:
        raise UsageError("--config needs the path of a file.")
    return value


def connect() -> "Commands":
    """The verbs of the farm that the config names: directly, or through a server."""
    connection = wiring.connect(current.config, local=prewarmed.connection if prewarmed else None)
    _opened.append(connection)
    if connection.is_unencrypted:
        from renderctl.cli.ui.console import note

        note(in_the_clear(connection.url))
    return connection


def in_the_clear(url: str) -> str:
    """What to say of a server that is asked without TLS."""
    return (
        f"Warning: {url} is not encrypted. Whoever is on the way can read what you send, your token and password too, "
        "and change what you get. Ask for its https:// address."
    )


def connect_directly() -> "LocalCommands":
    """The verbs of the farm whose parts the config names."""
    connection = wiring.connect_locally(current.config)
    _opened.append(connection)
    return connection


def close() -> None:
    """Let go of what the command has opened."""
    global prewarmed
    opened: list[Closable] = [*_opened, *([prewarmed] if prewarmed else [])]
    prewarmed = None
    _opened.clear()
    while opened:
        opened.pop().close()


def start_ahead(connection: "Commands", scene: str) -> "PrewarmedBlender | None":
    """The Blender for the scene, starting: the one that was started before all else, if it is for that scene."""
    if prewarmed is not None and prewarmed.scene == scene:
        return prewarmed.standby
    return connection.prewarm(scene)
