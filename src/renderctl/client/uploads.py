"""Files go to the server, or straight to its store: only those that it wants, in pieces that go on where they broke."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from renderctl.client.connection import ServerConnection
from renderctl.client.responses import fields, received, typed
from renderctl.core.errors import (
    BadAnswer,
    Conflict,
    DigestMismatch,
    FileChanged,
    NotStored,
    ServerUnavailable,
    StoreUnavailable,
)
from renderctl.core.jobs import Input
from renderctl.farm import OnProgress, Progress, ignore_progress
from renderctl.farm.models.incoming_uploads import WantedFile

#: Bytes that are sent in one request; files that are sent at a time; tries of a piece.
_PIECE, _PARALLEL, _TRIES = 16 << 20, 4, 5
#: Bytes in a second that a store takes at least.
_PACE = 8 << 20


def upload_files(
    server: ServerConnection,
    files: Mapping[Path, Input],
    on_advance: OnProgress = ignore_progress,
    *,
    project: str | None = None,
    verify: bool = False,
) -> list[Input]:
    """Have the server get the files that it lacks; those that had to be sent. Raises FileChanged, ServerUnavailable."""
    sources = {file.digest: (source, file) for source, file in files.items()}
    body = {"files": [asdict(file) for _, file in sources.values()], "project": project, "verify": verify}
    missing = typed(list[WantedFile], server.api.post("/uploads/wanted", body))
    if not {file.digest for file in missing} <= sources.keys():
        raise BadAnswer("The server wants files that are none of these.")
    sent = []
    with ThreadPoolExecutor(_PARALLEL) as pool:
        puts = pool.map(lambda file: _send(server, *sources[file.digest], file.url), missing)
        for done, file in enumerate(puts, 1):
            sent.append(file)
            on_advance(Progress("Uploading", done, len(missing)))
    return sent


def _send(server: ServerConnection, source: Path, file: Input, url: str | None) -> Input:
    try:
        if url is None or not _put_directly(server, source, file, url):
            _send_pieces(server, source, file)
    except DigestMismatch as error:
        hint = "Try again when nothing writes to it any more."
        raise FileChanged(f"{source} changed while it was uploaded: {error.message}", hint=hint) from error
    except OSError as error:
        raise FileChanged(f"{source} can not be read any more: {error.strerror or error}.") from error
    return file


def _put_directly(server: ServerConnection, source: Path, each: Input, url: str) -> bool:
    with source.open("rb") as file:
        if not server.api.put_elsewhere(url, file, each.size):
            return False
    try:
        server.api.post(f"/uploads/{each.digest}/promote", {"size": each.size}, patience_s=_patience_s(each))
    except (NotStored, StoreUnavailable):  # another upload of our own took it away; or what we have put it into is
        return False  # not the farm's store
    return True


def _send_pieces(server: ServerConnection, source: Path, each: Input) -> None:
    """In little memory; after a break from where the server says that it has got to."""
    path, offset, failed = f"/uploads/{each.digest}", 0, 0
    if each.size > _PIECE:
        offset = _there(server, path, each)
    with source.open("rb") as file:
        while True:
            file.seek(offset)
            piece = file.read(_PIECE)
            if not piece and each.size:
                raise DigestMismatch(f"it has {offset} bytes, and not {each.size}.")
            try:
                done = server.api.put(path, piece, size=each.size, offset=offset, patience_s=_patience_s(each))
            except (ServerUnavailable, Conflict):
                failed += 1
                if failed >= _TRIES:
                    raise
                server.local_farm.clock.wait(None, 0.5 * 2**failed)
                offset = _there(server, path, each)
                continue
            if fields(done).get("complete"):
                return
            before, offset = offset, received(done, each.size)
            if offset <= before:
                raise BadAnswer("The server gets no further with a file.")
            failed = 0


def _patience_s(file: Input) -> float:
    """Seconds until the server has had the store take a file: it reads all of it."""
    return 60.0 + file.size / _PACE


def _there(server: ServerConnection, path: str, file: Input) -> int:
    """Where to go on; a file of which the last piece may be there is begun anew with it: only then it is verified."""
    there = received(server.api.get(path), file.size)
    return there if there < file.size else max(0, file.size - _PIECE)
