"""Text of other people's on a terminal: a job called `\\x1b[2J` does not clear the screen."""

import re

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def one_line(text: str) -> str:
    """The text with every control character spelled out: `\\x1b`, `\\n`."""
    return _CONTROL.sub(lambda match: repr(match[0])[1:-1], text)


def lines(text: str) -> str:
    """The same, line by line."""
    return "\n".join(map(one_line, text.split("\n")))
