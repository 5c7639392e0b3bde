"""Models and their versions."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select

from renderctl.actors import Actor
from renderctl.errors import Conflict, NotFound, did_you_mean
from renderctl.ids import new_id
from renderctl.jobs import Input
from renderctl.models import Model, ModelFacts
from renderctl.repository.database import Database
from renderctl.repository.keeping import require_kept
from renderctl.repository.rows import to_model
from renderctl.repository.tables import jobs, model_inputs, models
from renderctl.states import OPEN_JOB


@dataclass(frozen=True)
class NewModel:
    """An upload whose blobs are in the store."""

    name: str
    main: str  #: path of the .blend among the inputs
    digest: str  #: of the manifest
    facts: ModelFacts
    inputs: tuple[Input, ...]


class Uploading(Database):
    """Models: named, versioned, immutable."""

    def add_model(self, new: NewModel, *, actor: Actor, since: datetime | None = None) -> tuple[Model, bool]:
        """The next version of the model of that name; False: the latest version is just the same.

        `since`: when its blobs were leased. Raises BlobCollected if one of them was collected after that.
        """

        def writing(connection: Connection) -> tuple[Model, bool]:
            query = select(models).where(models.c.name == new.name).order_by(models.c.version.desc()).limit(1)
            latest = connection.execute(query.with_for_update()).first()
            if latest is not None and latest.digest == new.digest:
                return to_model(latest), False
            row = {
                "id": new_id(),
                "name": new.name,
                "version": latest.version + 1 if latest else 1,
                "owner": actor.name,
                "created_at": self.now(connection),
                "main": new.main,
                "digest": new.digest,
                "facts": new.facts.as_document(),
                "size": sum(each.size for each in new.inputs),
                "files": len(new.inputs),
            }
            connection.execute(models.insert(), row)
            rows = [{"model_id": row["id"], **asdict(each)} for each in new.inputs]
            connection.execute(model_inputs.insert(), rows)
            require_kept(connection, {each.digest for each in new.inputs}, since or self.now(connection))
            self.audit(connection, actor, "model.upload", str(row["id"]), name=new.name, version=row["version"])
            return to_model(connection.execute(select(models).where(models.c.id == row["id"])).one()), True

        def done(connection: Connection, audit: Row[Any]) -> tuple[Model, bool]:
            return to_model(connection.execute(select(models).where(models.c.id == audit.subject)).one()), True

        return self.deed(writing, done=done)

    def find_model(self, ref: str) -> Model:
        """A model by its id, by `name` (the latest version) or by `name@version`. Raises NotFound."""
        return self.read(lambda connection: to_model(_find_model(connection, ref)))

    def models(self, *, name: str | None = None, limit: int = 100) -> list[Model]:
        """Models, the newest first; with a name: its versions."""
        query = select(models).order_by(models.c.id.desc()).limit(limit)
        if name is not None:
            query = query.where(models.c.name == name)
        return self.read(lambda connection: [to_model(row) for row in connection.execute(query)])

    def model_inputs(self, model_id: str) -> list[Input]:
        query = select(model_inputs).where(model_inputs.c.model_id == model_id).order_by(model_inputs.c.id)
        rows = self.read(lambda connection: connection.execute(query).all())
        return [Input(row.path, row.digest, row.size) for row in rows]

    def remove_model(self, ref: str, *, actor: Actor) -> Model:
        """Remove a model that no job uses. Its blobs go with the next garbage collection. Raises Conflict."""

        def writing(connection: Connection) -> Model:
            model = to_model(_find_model(connection, ref))
            users = connection.execute(select(jobs.c.id, jobs.c.state).where(jobs.c.model_id == model.id)).all()
            if users:
                busy = [row.id for row in users if row.state in OPEN_JOB] or [row.id for row in users]
                raise Conflict(f"Model {model.ref} is used by job {busy[0]}.", hint="A model is kept with its jobs.")
            connection.execute(model_inputs.delete().where(model_inputs.c.model_id == model.id))
            connection.execute(models.delete().where(models.c.id == model.id))
            self.audit(connection, actor, "model.remove", model.id, name=model.name, version=model.version)
            return model

        return self.deed(writing)


def _find_model(connection: Connection, ref: str) -> Any:
    name, _, version = ref.rpartition("@")
    if name and version.isdecimal():
        query = select(models).where(models.c.name == name, models.c.version == int(version))
    else:
        query = select(models).where(models.c.name == ref).order_by(models.c.version.desc()).limit(1)
    row = connection.execute(query).first() or connection.execute(select(models).where(models.c.id == ref)).first()
    if row is None:
        newest = select(models.c.name).group_by(models.c.name).order_by(func.max(models.c.id).desc()).limit(100)
        known = list(connection.scalars(newest))
        raise NotFound(f"There is no model {ref!r}.", hint=did_you_mean(ref, known) or "`renderctl upload` makes one.")
    return row
