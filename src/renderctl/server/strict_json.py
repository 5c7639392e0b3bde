"""JSON of requests, with limits of depth, length, numbers and names."""

import json
import re
from typing import Any, NoReturn

from renderctl.core.errors import InvalidInput, TooLarge

#: Least bytes per value of a document: one of more, tinier values takes long to parse.
_BYTES_PER_VALUE = 16
#: Most values of a document, however long it is; and those that any may have, however short.
_MAX_VALUES, _MIN_VALUES = 600_000, 4096
#: Most names of one object: what users name is a value, not a name.
_MAX_NAMES = 1000
#: The largest integer of the databases.
_MAX_INTEGER = 1 << 63
#: Perhaps half of a surrogate pair, which no encoding can write.
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def parse_json(body: bytes, *, max_bytes: int) -> Any:
    """Parse a body that may have `max_bytes`. Raises InvalidInput, TooLarge; never RecursionError."""
    values = body.count(b",") + body.count(b"[") + body.count(b"{")
    if values > max(_MIN_VALUES, min(_MAX_VALUES, max_bytes // _BYTES_PER_VALUE)):
        raise TooLarge("The request has too many values.")
    try:
        document = json.loads(
            body.decode(), parse_int=_integer, parse_float=_finite, parse_constant=_refuse, object_pairs_hook=_object
        )
        if _SURROGATE.search(body):
            json.dumps(document, ensure_ascii=False).encode()
    except UnicodeError as error:
        raise InvalidInput("The request is not valid: its text is not UTF-8.") from error
    except ValueError as error:
        place = f": {error.msg} at {error.pos}" if isinstance(error, json.JSONDecodeError) else ""
        raise InvalidInput(f"The request is not JSON{place}.") from error
    except RecursionError as error:
        raise InvalidInput("The request is nested too deeply.") from error
    return document


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > _MAX_NAMES:
        raise TooLarge(f"The request has an object of {len(pairs)} names.")
    return dict(pairs)


def _integer(text: str) -> int:
    if len(text) > 20 or not -_MAX_INTEGER <= (number := int(text)) < _MAX_INTEGER:
        raise InvalidInput("The request has an integer of more than 64 bits.")
    return number


def _finite(text: str) -> float:
    number = float(text[:400]) if len(text) <= 400 else float("inf")
    if number in (float("inf"), float("-inf")):
        raise InvalidInput("The request has a number that is too large or too long.")
    return number


def _refuse(text: str) -> NoReturn:
    raise InvalidInput(f"The request is not valid: {text} is not a number.")
