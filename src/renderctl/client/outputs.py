"""Outputs, over HTTP: fetched whole or not at all, verified, and gone on with where a connection broke."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from renderctl.client.connection import ServerConnection
from renderctl.client.http import quoted
from renderctl.client.responses import checked_output, fields, is_text, job_id, typed
from renderctl.core.errors import BadAnswer, DigestMismatch, ServerUnavailable, StoreUnavailable
from renderctl.core.jobs import Output
from renderctl.farm import OnProgress, ignore_progress
from renderctl.farm.jobs.download import Downloaded, Link, OutputFolder, not_writable
from renderctl.farm.jobs.outputs import OutputPage

_PIECE, _TRIES = 1 << 20, 5


@dataclass(frozen=True)
class _Job:
    """As a folder of outputs needs it."""

    id: str
    name: str
    cameras: tuple[str | None, ...]


def download(
    server: ServerConnection, job_ref: str, directory: Path, *, on_advance: OnProgress = ignore_progress
) -> Downloaded:
    """Every output of the job into `DIRECTORY/<job name>/`."""
    document = fields(server.api.get(f"/jobs/{quoted(job_ref)}", cached=False))
    about = {"id": job_id(document), "name": document.get("name"), "cameras": document.get("cameras")}
    job = typed(_Job, about)
    if not is_text(job.name):
        raise BadAnswer("The server names a job that can have no folder.")
    folder = OutputFolder(job, directory, lambda output, target: _fetch(server, job.id, output, target))
    return folder.fill(_outputs(server, job.id), on_advance)


def links(server: ServerConnection, job_ref: str, expires_s: float) -> list[Link]:
    """The addresses of the job's outputs."""
    return typed(list[Link], server.api.get(f"/jobs/{quoted(job_ref)}/links", expires_s=expires_s))


def _outputs(server: ServerConnection, job_id: str) -> Iterator[tuple[Output, int]]:
    after = 0
    while True:
        page = typed(OutputPage, server.api.get(f"/jobs/{job_id}/outputs", after=after))
        if not page.outputs:
            return
        yield from ((checked_output(output), page.total) for output in page.outputs)
        if page.next <= after:
            raise BadAnswer("The server lists outputs without an end.")
        after = page.next


def _fetch(server: ServerConnection, job_id: str, output: Output, target: Path) -> None:
    part = target.with_name(f".{os.urandom(8).hex()}.part")
    path = f"/jobs/{job_id}/outputs/{output.number}/{'/'.join(map(quoted, output.name.split('/')))}"
    try:
        with part.open("xb") as file:
            _fill(server, path, output, file)
        part.replace(target)
    except OSError as error:
        raise not_writable(target, error) from error
    finally:
        with suppress(OSError):
            part.unlink()


def _fill(server: ServerConnection, path: str, output: Output, file: IO[bytes]) -> None:
    seen = hashlib.sha256()
    for left in reversed(range(_TRIES)):
        try:
            asked = {"Range": f"bytes={file.tell()}-"} if file.tell() else {}
            with server.api.file(path, asked) as answer:
                for piece in answer.stream(_PIECE, decode_content=False):
                    if file.tell() + len(piece) > output.size:
                        raise DigestMismatch(f"{output.name} of the job is longer than the {output.size} bytes it has.")
                    file.write(piece)
                    seen.update(piece)
            break
        except (ServerUnavailable, StoreUnavailable):
            if not left:
                raise
    if seen.hexdigest() != output.digest:
        raise DigestMismatch(f"{output.name} of the job came damaged.")
