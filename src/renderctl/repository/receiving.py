"""Which blobs somebody may read: he need not send them, and may make models and jobs of them."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Connection, Select, select

from renderctl.permissions import Sight
from renderctl.repository.blobs import Blobs
from renderctl.repository.keeping import batches
from renderctl.repository.seeing import visible
from renderctl.repository.tables import job_inputs, jobs, model_inputs, models, outputs, uploads

_BATCH = 1000
#: For how long it is remembered what somebody has sent: as long as the garbage collection leaves it alone.
_REMEMBERED = timedelta(hours=24)


@dataclass(frozen=True)
class Reader:
    """Somebody, and which models and jobs he may see."""

    name: str
    models: Sight
    jobs: Sight


class Receiving(Blobs):
    """What comes from people who can not reach the store themselves."""

    def readable(self, digests: Collection[str], reader: Reader) -> dict[str, int]:
        """Those of the blobs that he may read, because a model or job that he may see has them or he has sent them.

        With their sizes in bytes. All of the `digests` are leased, as `unknown_blobs` does it.
        """

        def working(connection: Connection) -> dict[str, int]:
            self._leased(connection, digests)
            now, found = self.now(connection), dict[str, int]()
            for some in batches(sorted(set(digests)), _BATCH):
                own = select(uploads.c.digest, uploads.c.size).where(uploads.c.owner == reader.name)
                for query in (own.where(uploads.c.digest.in_(some), uploads.c.until > now), *_pointing(some, reader)):
                    found.update({row.digest: row.size for row in connection.execute(query)})
            return found

        return self.write(working) if digests else {}

    def note_received(self, digest: str, size: int, owner: str) -> None:
        """He has sent all of the blob, so he knows what is in it."""

        def writing(connection: Connection) -> None:
            self._leased(connection, [digest])
            now = self.now(connection)
            connection.execute(uploads.delete().where(uploads.c.owner == owner, uploads.c.digest == digest))
            row = {"owner": owner, "digest": digest, "size": size, "until": now + _REMEMBERED}
            connection.execute(uploads.insert(), row)
            connection.execute(uploads.delete().where(uploads.c.until <= now))

        self.write(writing)


def _pointing(digests: Sequence[str], reader: Reader) -> Iterator[Select[tuple[str, int]]]:
    """Rows of what he may see that point to the blobs."""
    of_models = select(model_inputs.c.digest, model_inputs.c.size).join(models, models.c.id == model_inputs.c.model_id)
    yield of_models.where(model_inputs.c.digest.in_(digests), *visible(models, reader.models))
    for table in (job_inputs, outputs):
        of_jobs = select(table.c.digest, table.c.size).join(jobs, jobs.c.id == table.c.job_id)
        yield of_jobs.where(table.c.digest.in_(digests), jobs.c.removed_at.is_(None), *visible(jobs, reader.jobs))
