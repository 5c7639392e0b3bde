"""Text of other people's on a terminal: a job called `\\x1b[2J` does not clear the screen.

Escaped are the characters that steer a terminal (C0 and C1), those that turn the direction of writing (bidi overrides:
a name would read otherwise than it is), and those that nobody sees (zero-width ones: two names would look alike).
"""

import re

#: Control characters, lone surrogates, line and paragraph separators, and every format character of Unicode (Cf) with
#: the fillers that look like nothing.
_CONTROL = (
    "\x00-\x1f\x7f-\x9f\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f"
    "\u2028-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufeff\uffa0\ufff0-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_IN_LINE = re.compile(f"[{_CONTROL}]")
_IN_TEXT = re.compile(f"(?![\t\n])[{_CONTROL}]")
#: Colours (SGR), and the carriage return of a line that ends as on Windows: dropped from logs, for they say nothing.
_DECORATION = re.compile("\x1b\\[[0-9;:]{0,64}m|\r(?=\n)")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def escape_line(text: str) -> str:
    """The text with every control character spelled out: `\\x1b`, `\\n`, `\\u202e`."""
    return _IN_LINE.sub(_spelled, text)


def escape_lines(text: str) -> str:
    """The same, line by line."""
    return "\n".join(map(escape_line, text.split("\n")))


def escape_log(text: str) -> str:
    """A piece of a log: its lines and tabs stay, its colours go, everything else is spelled out."""
    return _IN_TEXT.sub(_spelled, _DECORATION.sub("", text))


def _spelled(match: re.Match[str]) -> str:
    character = match[0]
    code = ord(character)
    if character in _SHORT:
        return _SHORT[character]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
