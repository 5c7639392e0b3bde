"""The outputs of a job: what there is, and the bytes of one."""

from collections.abc import Iterator
from dataclasses import dataclass

from renderctl.core.actors import Actor
from renderctl.core.jobs import Output
from renderctl.farm import Farm
from renderctl.farm.authorization import authorized_job
from renderctl.farm.jobs.download import file_name


@dataclass(frozen=True)
class OutputPage:
    """Some outputs, in the order in which they were published."""

    outputs: list[Output]
    next: int  #: where the next page begins
    total: int  #: of the job, at this moment


@dataclass(frozen=True)
class OpenOutput:
    """An output that can be read."""

    output: Output
    file_name: str  #: as a browser saves it
    _farm: Farm

    def read(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Its bytes from `start` up to `end`. Raises NotStored, StoreUnavailable with the first piece."""
        return self._farm.store.read(self.output.digest, start, end)

    def url(self, expires_s: float) -> str:
        """Where anyone may fetch it for so long."""
        return self._farm.store.url(self.output.digest, self.file_name, expires_s)


def outputs(
    farm: Farm, actor: Actor, job_ref: str, *, after: int = 0, limit: int = 1000, latest: bool = False
) -> OutputPage:
    """Outputs of a job, from where an earlier page says; or the `latest`, the newest first. Raises NotFound."""
    job = authorized_job(farm, actor, job_ref, "job.see")
    if latest:
        return OutputPage(farm.repository.outputs.latest(job.id, limit), 0, farm.repository.outputs.count(job.id))
    page, where = farm.repository.outputs.of_job(job.id, after=after, limit=limit)
    return OutputPage(page, where, farm.repository.outputs.count(job.id))


def open_output(farm: Farm, actor: Actor, job_ref: str, number: int, name: str) -> OpenOutput:
    """The output of that name of a job's task. Raises NotFound."""
    job = authorized_job(farm, actor, job_ref, "job.download")
    output = farm.repository.outputs.get(job.id, number, name)
    return OpenOutput(output, file_name(output, len(job.cameras) > 1), farm)
