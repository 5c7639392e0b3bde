"""Answers: results as documents, and files with ranges."""

import json
import mimetypes
import re
from collections.abc import Iterator
from itertools import chain
from urllib.parse import quote

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from renderctl.core.serialization import to_json_value
from renderctl.farm.jobs.outputs import OpenOutput

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
#: What a browser may show by itself; everything else it saves.
_SHOWN = ("image/png", "image/jpeg", "image/webp")


def json_response(result: object, status: int = 200) -> Response:
    """A result as `--json` prints it."""
    return Response(json.dumps(to_json_value(result), separators=(",", ":")), status, media_type="application/json")


def list_response(results: Iterator[object]) -> Response:
    """Results as a list, one a line, sent while they are made. The first is made before anything is said."""
    lines = (json.dumps(to_json_value(result), separators=(",", ":")) for result in results)
    first = next(lines, None)
    body = chain(["[\n", first or ""], (f",\n{line}" for line in lines), ["\n]\n"])
    return StreamingResponse(body, media_type="application/json")


def file_response(request: Request, file: OpenOutput) -> Response:
    """A file, or the range of it that is asked for."""
    size, tag = file.output.size, f'"{file.output.digest}"'
    kind = mimetypes.guess_type(file.file_name)[0] or "application/octet-stream"
    shown = "inline" if kind in _SHOWN else "attachment"
    headers = {
        "ETag": tag,
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
        "Content-Disposition": f"{shown}; filename*=UTF-8''{quote(file.file_name, safe='')}",
    }
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    wanted = request.headers.get("range", "") if request.headers.get("if-range", tag) == tag else ""
    part = _range(wanted, size)
    if part is None:
        return _streamed(file.read(), 200, {**headers, "Content-Length": str(size)}, kind)
    if not part:
        return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{size}"})
    said = {"Content-Range": f"bytes {part.start}-{part.stop - 1}/{size}", "Content-Length": str(len(part))}
    return _streamed(file.read(part.start, part.stop), 206, headers | said, kind)


def _streamed(pieces: Iterator[bytes], status: int, headers: dict[str, str], kind: str) -> Response:
    """The first piece is fetched before anything is said: a file that is not there is an error, not an empty file."""
    first = next(pieces, b"")
    return StreamingResponse(chain([first], pieces), status, headers, kind)


def _range(wanted: str, size: int) -> range | None:
    """The bytes that are asked for; None: all of them; empty: there are no such. Several ranges count as none."""
    found = _RANGE.fullmatch(wanted)
    if found is None or found[1] == found[2] == "":
        return None
    if not found[1]:
        return range(max(0, size - int(found[2])), size)
    start, last = int(found[1]), int(found[2]) if found[2] else size - 1
    if last < start and found[2]:
        return None
    return range(start, min(last + 1, size))
