"""What a server answers, checked before anything is done with it: it may be anybody's."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, TypeVar, cast

import urllib3

from renderctl.core.errors import BadAnswer
from renderctl.core.jobs import Output

if TYPE_CHECKING:
    from renderctl.core.job_status import JobStatus

Kind = TypeVar("Kind")

_ID = re.compile(r"[0-9a-z]{1,40}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_TOKEN = re.compile(r"[!-~]{1,500}")
_LONGEST_NAME = 1000
_PIECE = 1 << 16


def typed(kind: type[Kind], document: object) -> Kind:
    """A document as one of the core's own classes. Raises BadAnswer."""
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(kind).validate_python(document)
    except ValidationError as error:
        raise BadAnswer(f"The server's answer is no {getattr(kind, '__name__', kind)}.") from error


def fields(document: object) -> Mapping[str, object]:
    """A document that has fields. Raises BadAnswer."""
    if not isinstance(document, dict):
        raise BadAnswer("The server's answer is no document.")
    return document


def field_of(document: Mapping[str, object], name: str, kind: type[Kind]) -> Kind:
    """A field of a document, if it is of that kind. Raises BadAnswer."""
    value = document.get(name)
    if not isinstance(value, kind):
        raise BadAnswer(f"The server's answer has no {name!r}, or a wrong one.")
    return value


def job_status(document: object) -> "JobStatus":
    """The document of a job: of it the id is checked. Raises BadAnswer."""
    job_id(document)
    return cast("JobStatus", document)


def job_id(document: object) -> str:
    """The id of a job's document: it becomes a part of addresses and of folders' names. Raises BadAnswer."""
    return _matching(_ID, document.get("id") if isinstance(document, dict) else None, "id of a job")


def token(document: object) -> str:
    """The secret of a new token: it becomes a header. Raises BadAnswer."""
    return _matching(_TOKEN, document.get("secret") if isinstance(document, dict) else None, "token")


def checked_output(output: Output) -> Output:
    """An output whose digest and size are such, and whose names can be names. Raises BadAnswer."""
    _matching(_DIGEST, output.digest, "digest")
    names = [output.name, output.camera or ""]
    if output.size < 0 or output.number < 0 or not all(map(is_text, names)) or max(map(len, names)) > _LONGEST_NAME:
        raise BadAnswer("The server names an output that can be none.")
    return output


def is_text(text: str) -> bool:
    """Whether it can be a file's name or be printed: JSON has halves of characters, too."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def received(document: object, size: int) -> int:
    """How many bytes of a file of that size the server has. Raises BadAnswer."""
    number = document.get("received") if isinstance(document, dict) else None
    if type(number) is not int or not 0 <= number <= size:
        raise BadAnswer("The server says that it has what can not be.")
    return number


def content_of(answer: urllib3.BaseHTTPResponse, most_bytes: int) -> bytes:
    """All that is answered. Raises BadAnswer for more than `most_bytes`, without having read it."""
    content = bytearray()
    try:
        while piece := answer.read(_PIECE, decode_content=False):  # nothing that unfolds was asked for
            content += piece
            if len(content) > most_bytes:
                raise BadAnswer(f"The server's answer is larger than {most_bytes >> 20} MiB.")
    except BaseException:
        answer.close()
        raise
    return bytes(content)


def lines_of(answer: urllib3.BaseHTTPResponse, most_bytes: int) -> Iterator[bytes]:
    """The lines of an answer as they come. Raises BadAnswer for one of more than `most_bytes`."""
    rest = bytearray()
    for piece in answer.stream(1 << 14, decode_content=False):
        *ended, last = piece.split(b"\n")
        for line in ended:
            yield bytes(rest + line)
            rest.clear()
        rest += last
        if len(rest) > most_bytes:
            raise BadAnswer(f"The server sends a line of more than {most_bytes >> 20} MiB.")


def parsed(content: bytes) -> object:
    """A document. Raises ValueError for what is none, and BadAnswer for one that is built to be no end."""
    try:
        document: object = json.loads(content)
        return document
    except RecursionError as error:
        raise BadAnswer("The server's answer is folded too deep.") from error


def _matching(pattern: re.Pattern[str], text: object, what: str) -> str:
    if not isinstance(text, str) or not pattern.fullmatch(text):
        raise BadAnswer(f"The server names a {what} that can be none.")
    return text
