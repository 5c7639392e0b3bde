"""`download`: a job's outputs into a folder, each whole or not at all, verified; what is there already is kept."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from renderctl.core.actors import Actor
from renderctl.core.errors import OutputNotWritable
from renderctl.core.ids import new_id
from renderctl.core.jobs import Job, Output
from renderctl.farm import Farm, OnProgress, Progress, ignore_progress
from renderctl.farm.authorization import authorized_job
from renderctl.farm.safe_names import safe_name

#: Says which job a folder belongs to.
_MARK = ".renderctl-job"


@dataclass(frozen=True)
class Downloaded:
    job_id: str
    folder: Path
    files: int
    written: int  #: those that were not there yet
    written_bytes: int


def download(
    farm: Farm, actor: Actor, job_ref: str, directory: Path, *, on_advance: OnProgress = ignore_progress
) -> Downloaded:
    """Every output of the job into `DIRECTORY/<job name>/`. Raises NotFound, OutputNotWritable, StoreUnavailable."""
    job = authorized_job(farm, actor, job_ref, "job.download")
    total = farm.repository.outputs.count(job.id)
    folder = OutputFolder(job, directory, blob_fetcher(farm))
    return folder.fill(((output, total) for output in _outputs(farm, job.id)), on_advance)


@dataclass(frozen=True)
class Link:
    """Where an output may be fetched from."""

    frame: int
    camera: str | None
    name: str
    size: int  #: bytes
    url: str


def links(farm: Farm, actor: Actor, job_ref: str, expires_s: float) -> list[Link]:
    """The addresses of the job's outputs in the store, good for `expires_s` seconds.

    Raises NotFound, StoreUnavailable.
    """
    job = authorized_job(farm, actor, job_ref, "job.download")
    several = len(job.cameras) > 1
    return _links(farm, job, lambda output: farm.store.url(output.digest, file_name(output, several), expires_s))


def links_to(farm: Farm, actor: Actor, job_ref: str, address: Callable[[Output], str]) -> list[Link]:
    """The job's outputs at the addresses that `address` gives them. Raises NotFound."""
    return _links(farm, authorized_job(farm, actor, job_ref, "job.download"), address)


def _links(farm: Farm, job: Job, address: Callable[[Output], str]) -> list[Link]:
    outputs = _outputs(farm, job.id)
    return [Link(output.frame, output.camera, output.name, output.size, address(output)) for output in outputs]


def file_name(output: Output, several: bool) -> str:
    """As a browser saves it."""
    camera = f"{safe_name(output.camera)}-" if several and output.camera else ""
    return camera + safe_name(output.name.replace("/", "-"))


class Named(Protocol):
    """What a folder is named after."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def cameras(self) -> tuple[str | None, ...]: ...


#: Puts an output at a path, whole and verified.
Fetch = Callable[[Output, Path], None]


def blob_fetcher(farm: Farm) -> Fetch:
    """From the store."""
    return lambda output, target: farm.store.get(output.digest, target)


class OutputFolder:
    """`DIRECTORY/<job name>/[<camera>/]<frame>.<ext>`; a folder that another job has is left to it."""

    def __init__(self, job: Named, directory: Path, fetch: Fetch) -> None:
        self._job_id = job.id
        self._fetch = fetch
        self._several = len(job.cameras) > 1
        self.path = _own_folder(directory.expanduser().absolute(), job)

    def target(self, output: Output) -> Path:
        folder = self.path / safe_name(output.camera) if self._several and output.camera else self.path
        return folder / "/".join(map(safe_name, output.name.split("/")))

    def fill(self, outputs: Iterable[tuple[Output, int]], on_advance: OnProgress) -> Downloaded:
        """Fetch them all, each told with how many there are. Raises OutputNotWritable, StoreUnavailable."""
        files = written = size = 0
        for output, total in outputs:
            files += 1
            if self.fetch(output):
                written += 1
                size += output.size
            on_advance(Progress("Downloading", files, total))
        return Downloaded(self._job_id, self.path, files, written, size)

    def fetch(self, output: Output) -> bool:
        """Whether it had to be written. Raises OutputNotWritable, StoreUnavailable."""
        target = self.target(output)
        if _is_there(target, output):
            return False
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise not_writable(target.parent, error) from error
        self._fetch(output, target)
        return True


def check_writable(directory: Path) -> None:
    """Find out before the work, not after it. Raises OutputNotWritable.

    A folder that is not there yet is tried beside its place: others may be making it at this moment.
    """
    directory = directory.expanduser().absolute()
    there = next(folder for folder in (directory, *directory.parents) if folder.exists())
    probe = there / f".renderctl-probe-{new_id()}"
    try:
        folder = probe / directory.relative_to(there)
        folder.mkdir(parents=True)
        (folder / "probe").write_bytes(b"renderctl")
    except OSError as error:
        raise not_writable(directory, error) from error
    finally:
        shutil.rmtree(probe, ignore_errors=True)


def not_writable(path: Path, error: OSError) -> OutputNotWritable:
    return OutputNotWritable(
        f"{path} can not be written to: {error.strerror or error}.", hint="Choose another folder with -o DIR."
    )


def _outputs(farm: Farm, job_id: str) -> Iterator[Output]:
    after = 0
    while True:
        page, after = farm.repository.outputs.of_job(job_id, after=after)
        if not page:
            return
        yield from page


def _is_there(target: Path, output: Output) -> bool:
    try:
        if target.stat().st_size != output.size:
            return False
        with target.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == output.digest
    except OSError:
        return False


def _own_folder(directory: Path, job: Named) -> Path:
    name = safe_name(job.name)
    for candidate in (directory / name, directory / f"{name}-{safe_name(job.id)}"):
        if _claimed(candidate, job.id):
            return candidate
    raise OutputNotWritable(f"{directory / name} and its like belong to other jobs.", hint="Choose another -o DIR.")


def _claimed(folder: Path, job_id: str) -> bool:
    mark = folder / _MARK
    try:
        if mark.is_file():
            return bool(json.loads(mark.read_text(encoding="utf-8")).get("job") == job_id)
        if folder.is_dir() and any(folder.iterdir()):
            return False
        folder.mkdir(parents=True, exist_ok=True)
        with mark.open("x", encoding="utf-8") as file:
            json.dump({"job": job_id}, file)
    except FileExistsError:
        return folder.is_dir() and _claimed(folder, job_id)
    except (OSError, ValueError) as error:
        raise not_writable(folder, error if isinstance(error, OSError) else OSError(str(error))) from error
    return True
