"""JSON as requests have it: no deeper, no longer and no stranger than anything here is meant to be."""

import json
import re
from typing import Any, NoReturn

from renderctl.core.errors import InvalidInput, TooLarge

#: Bytes of a document for each of its values: below this it is a heap of nothings, which takes long to read.
_BYTES_A_VALUE = 16
#: Values of a document, however long it is; and of one that is short.
_MOST_VALUES, _FEW_VALUES = 600_000, 4096
#: Names of one object: what people name is a value.
_MOST_NAMES = 1000
#: What a database can keep as a whole number.
_MOST_NUMBER = 1 << 63
#: Half of a surrogate pair, perhaps: text that can be written down nowhere.
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def parse(body: bytes, *, allowed: int) -> Any:
    """What a body says that may have `allowed` bytes. Raises InvalidInput, TooLarge; never RecursionError."""
    values = body.count(b",") + body.count(b"[") + body.count(b"{")
    if values > max(_FEW_VALUES, min(_MOST_VALUES, allowed // _BYTES_A_VALUE)):
        raise TooLarge("The request has too many values.")
    try:
        document = json.loads(
            body.decode(), parse_int=_whole, parse_float=_finite, parse_constant=_refuse, object_pairs_hook=_object
        )
        if _SURROGATE.search(body):
            json.dumps(document, ensure_ascii=False).encode()
    except UnicodeError as error:
        raise InvalidInput("The request is not valid: its text is not UTF-8.") from error
    except ValueError as error:
        said = f": {error.msg} at {error.pos}" if isinstance(error, json.JSONDecodeError) else ""
        raise InvalidInput(f"The request is not JSON{said}.") from error
    except RecursionError as error:
        raise InvalidInput("The request is nested too deeply.") from error
    return document


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > _MOST_NAMES:
        raise TooLarge(f"The request has an object of {len(pairs)} names.")
    return dict(pairs)


def _whole(text: str) -> int:
    if len(text) > 20 or not -_MOST_NUMBER <= (number := int(text)) < _MOST_NUMBER:
        raise InvalidInput("The request has a whole number that is too large: 64 bits are read.")
    return number


def _finite(text: str) -> float:
    number = float(text[:400]) if len(text) <= 400 else float("inf")
    if number in (float("inf"), float("-inf")):
        raise InvalidInput("The request has a number that is too large or too long.")
    return number


def _refuse(text: str) -> NoReturn:
    raise InvalidInput(f"The request is not valid: {text} is no number.")
