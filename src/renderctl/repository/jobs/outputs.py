"""Outputs: the files that tasks have published."""

from sqlalchemy import Connection, select

from renderctl.core.errors import NotFound
from renderctl.core.jobs import Output
from renderctl.repository.counts import read_counts
from renderctl.repository.database import Part, read
from renderctl.repository.schema.jobs import outputs
from renderctl.repository.schema.mappers import (
    OUTPUTS_IN_ORDER,
    to_output,
)


class Outputs(Part):
    """The outputs of jobs."""

    def of_job(self, job_id: str, *, after: int = 0, limit: int = 1000) -> tuple[list[Output], int]:
        """Return outputs of a job in the order of publication, and the number to continue `after`."""
        query = OUTPUTS_IN_ORDER.where(outputs.c.job_id == job_id)
        if after:
            query = query.where(outputs.c.id > after)
        rows = self._database.read(lambda connection: connection.execute(query.limit(limit)).all())
        return [to_output(row) for row in rows], (rows[-1].id if rows else after)

    @read
    def latest(self, connection: Connection, job_id: str, limit: int) -> list[Output]:
        """Return the outputs published last, the newest first."""
        query = OUTPUTS_IN_ORDER.where(outputs.c.job_id == job_id).order_by(None).order_by(outputs.c.id.desc())
        return [to_output(row) for row in connection.execute(query.limit(limit))]

    @read
    def of_task(self, connection: Connection, job_id: str, number: int) -> list[Output]:
        """Return the outputs of one task."""
        query = select(outputs).where(outputs.c.job_id == job_id, outputs.c.number == number).order_by(outputs.c.id)
        return [to_output(row) for row in connection.execute(query)]

    def get(self, job_id: str, number: int, name: str) -> Output:
        """Return the output of a task by its name. Raises NotFound."""
        for output in self.of_task(job_id, number):
            if output.name == name:
                return output
        raise NotFound(f"Task {number} of job {job_id} has no output {name!r}.")

    @read
    def count(self, connection: Connection, job_id: str) -> int:
        """Return how many outputs a job has."""
        return read_counts(connection, [job_id])[job_id].outputs
