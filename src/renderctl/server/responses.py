"""Responses: results as JSON, and files with ranges."""

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
#: Media types that a browser may show; it saves all others.
_INLINE_TYPES = ("image/png", "image/jpeg", "image/webp")


def json_response(result: object, status: int = 200) -> Response:
    """A result as `--json` prints it."""
    return Response(json.dumps(to_json_value(result), separators=(",", ":")), status, media_type="application/json")


def list_response(results: Iterator[object]) -> Response:
    """Results as a list, one per line, sent as they come; an error before the first one is a response of its own."""
    lines = (json.dumps(to_json_value(result), separators=(",", ":")) for result in results)
    first = next(lines, None)
    body = chain(["[\n", first or ""], (f",\n{line}" for line in lines), ["\n]\n"])
    return StreamingResponse(body, media_type="application/json")


def file_response(request: Request, file: OpenOutput) -> Response:
    """A file, or the requested range of it."""
    size, etag = file.output.size, f'"{file.output.digest}"'
    media_type = mimetypes.guess_type(file.file_name)[0] or "application/octet-stream"
    disposition = "inline" if media_type in _INLINE_TYPES else "attachment"
    headers = {
        "ETag": etag,
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
        "Content-Disposition": f"{disposition}; filename*=UTF-8''{quote(file.file_name, safe='')}",
    }
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    range_header = request.headers.get("range", "") if request.headers.get("if-range", etag) == etag else ""
    requested = _range(range_header, size)
    if requested is None:
        return _streamed(file.read(), 200, {**headers, "Content-Length": str(size)}, media_type)
    if not requested:
        return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{size}"})
    headers["Content-Range"] = f"bytes {requested.start}-{requested.stop - 1}/{size}"
    headers["Content-Length"] = str(len(requested))
    return _streamed(file.read(requested.start, requested.stop), 206, headers, media_type)


def _streamed(chunks: Iterator[bytes], status: int, headers: dict[str, str], media_type: str) -> Response:
    """The first chunk is read before the response begins: a missing file is an error, not an empty file."""
    first = next(chunks, b"")
    return StreamingResponse(chain([first], chunks), status, headers, media_type)


def _range(header: str, size: int) -> range | None:
    """The requested bytes; None: all, as for several ranges; empty: the file has no such bytes."""
    match = _RANGE.fullmatch(header)
    if match is None or match[1] == match[2] == "":
        return None
    if not match[1]:
        return range(max(0, size - int(match[2])), size)
    start, last = int(match[1]), int(match[2]) if match[2] else size - 1
    if last < start and match[2]:
        return None
    return range(start, min(last + 1, size))
