"""Models and their versions."""

import re
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Connection, Row, func, select

from renderctl.core.actors import Actor
from renderctl.core.errors import Conflict, NotFound, did_you_mean
from renderctl.core.ids import new_id
from renderctl.core.jobs import Input
from renderctl.core.models import Model, abridge
from renderctl.core.new_model import NewModel
from renderctl.core.permissions import ALL, Visibility
from renderctl.core.quotas import UNLIMITED, Quotas
from renderctl.core.states import OPEN_JOB
from renderctl.repository.blobs.references import require_not_collected
from renderctl.repository.database import Part, add_audit_entry, db_now, durable_write, read
from renderctl.repository.quotas import free_uploads, lock_quotas, require_storage, store_ended_sums, use_uploads
from renderctl.repository.schema.jobs import jobs, model_inputs, models
from renderctl.repository.schema.mappers import to_model, visible

#: A version number: the column has 32 bits.
_VERSION = re.compile(r"[0-9]{1,9}")
#: The columns of a model in lists.
_LISTED = (
    *(column for column in models.c if column.name not in ("facts", "listed_facts")),
    func.coalesce(models.c.listed_facts, models.c.facts, type_=JSON()).label("facts"),
)


class Models(Part):
    """Models: named, versioned, immutable."""

    def add(
        self, new: NewModel, *, actor: Actor, since: datetime | None = None, quotas: Quotas = UNLIMITED
    ) -> tuple[Model, bool]:
        """Add the next version of a model; return it, and False if the latest version is the same.

        `since`: when its blobs were leased. Raises BlobCollected if one of them was collected since, QuotaExceeded.
        """
        limits = quotas.of(actor.name, new.project)

        def writing(connection: Connection) -> tuple[Model, bool]:
            alike = (models.c.project == new.project) & (models.c.name == new.name)
            query = select(models).where(alike).order_by(models.c.version.desc()).limit(1)
            latest = connection.execute(query.with_for_update()).first()
            if latest is not None and latest.digest == new.digest:
                return to_model(latest), False
            row = {
                "id": new_id(),
                "name": new.name,
                "project": new.project,
                "version": latest.version + 1 if latest else 1,
                "owner": actor.name,
                "created_at": db_now(connection),
                "main": new.main,
                "digest": new.digest,
                "facts": new.facts.as_document(),
                "listed_facts": brief.as_document() if (brief := abridge(new.facts)) else None,
                "size": sum(file.size for file in new.inputs),
                "files": len(new.inputs),
            }
            connection.execute(models.insert(), row)
            rows = [{"model_id": row["id"], **asdict(file)} for file in new.inputs]
            connection.execute(model_inputs.insert(), rows)
            require_not_collected(connection, {file.digest for file in new.inputs}, since or db_now(connection))
            use_uploads(connection, actor.name, (file.digest for file in new.inputs))
            lock_quotas(connection, limits)
            store_ended_sums(connection, limits, db_now(connection))
            require_storage(connection, limits)
            add_audit_entry(connection, actor, "model.upload", str(row["id"]), name=new.name, version=row["version"])
            return to_model(connection.execute(select(models).where(models.c.id == row["id"])).one()), True

        def recover(connection: Connection, audit: Row[Any]) -> tuple[Model, bool]:
            return to_model(connection.execute(select(models).where(models.c.id == audit.subject)).one()), True

        return self._database.durable_write(writing, recover=recover)

    @read
    def find(
        self, connection: Connection, ref: str, *, visibility: Visibility = ALL, project: str | None = None
    ) -> Model:
        """Return a model by its id, by `NAME` (the latest version) or by `NAME@VERSION`. Raises NotFound.

        Where several projects have one of that name, `project` decides.
        """
        return to_model(_find_model(connection, ref, visibility, project))

    @read
    def get(self, connection: Connection, model_id: str) -> Model:
        """Return the model with this id. Raises NotFound."""
        return to_model(_model_row(connection, model_id))

    @read
    def newest(
        self,
        connection: Connection,
        *,
        name: str | None = None,
        project: str | None = None,
        search: str | None = None,
        before: str | None = None,
        limit: int = 100,
        visibility: Visibility = ALL,
    ) -> list[Model]:
        """Return models, the newest first: of a name its versions; with `before`: models older than that one.

        Large facts are abridged, so that a list of a thousand models fits into memory.
        """
        query = select(*_LISTED).where(*visible(models, visibility)).order_by(models.c.id.desc()).limit(limit)
        for column, value in ((models.c.name, name), (models.c.project, project)):
            query = query.where(column == value) if value is not None else query
        if before is not None:
            query = query.where(models.c.id < before)
        if search:
            query = query.where(models.c.name.icontains(search, autoescape=True))
        return [to_model(row) for row in connection.execute(query)]

    def inputs(self, model_id: str, *, skip: int = 0, limit: int | None = None) -> list[Input]:
        """Return the files of a model: all, or `limit` of them after the first `skip`."""
        query = select(model_inputs).where(model_inputs.c.model_id == model_id).order_by(model_inputs.c.id)
        query = query.offset(skip).limit(limit) if limit is not None else query
        rows = self._database.read(lambda connection: connection.execute(query).all())
        return [Input(row.path, row.digest, row.size) for row in rows]

    @durable_write
    def remove(self, connection: Connection, model_id: str, *, actor: Actor) -> Model:
        """Remove a model that no job uses; the next garbage collection frees its blobs. Raises NotFound, Conflict."""
        model = to_model(_model_row(connection, model_id, locked=True))  # no job of it is added meanwhile
        columns = (jobs.c.id, jobs.c.state, jobs.c.submitting_until)
        users = connection.execute(select(*columns).where(jobs.c.model_id == model.id)).all()
        if users:
            busy = [row.id for row in users if row.state in OPEN_JOB]
            busy = busy or [row.id for row in users if row.submitting_until is None]
            job = f"job {busy[0]}" if busy else "a job that is being submitted"
            raise Conflict(f"Model {model.ref} is used by {job}.", hint="A model is kept with its jobs.")
        own = select(model_inputs.c.digest).where(model_inputs.c.model_id == model.id)
        free_uploads(connection, model.owner, connection.scalars(own).all())
        connection.execute(model_inputs.delete().where(model_inputs.c.model_id == model.id))
        connection.execute(models.delete().where(models.c.id == model.id))
        add_audit_entry(connection, actor, "model.remove", model.id, name=model.name, version=model.version)
        return model


def _model_row(connection: Connection, model_id: str, *, locked: bool = False) -> Any:
    query = select(models).where(models.c.id == model_id)
    row = connection.execute(query.with_for_update() if locked else query).first()
    if row is None:
        raise NotFound(f"There is no model {model_id!r}.")
    return row


def _find_model(connection: Connection, ref: str, visibility: Visibility, project: str | None) -> Any:
    versions = select(models.c.id, models.c.project).order_by(models.c.version.desc())
    visible_versions = versions.where(*visible(models, visibility))
    name, _, version = ref.rpartition("@")
    if name and _VERSION.fullmatch(version):
        query = visible_versions.where(models.c.name == name, models.c.version == int(version))
    else:
        query = visible_versions.where(models.c.name == ref)
    latest = {row.project: row for row in reversed(connection.execute(query).all())}  # of each project the latest
    row = latest.get(project or "") or (next(iter(latest.values())) if len(latest) == 1 else None)
    if row is None and len(latest) > 1:
        listed = ", ".join(f"{version.id} ({version.project})" for version in latest.values())
        raise NotFound(f"{ref!r} means models of several projects.", hint=f"Say which by its id: {listed}")
    row = row or connection.execute(visible_versions.where(models.c.id == ref)).first()
    if row is None:
        newest = select(models.c.name).where(*visible(models, visibility)).group_by(models.c.name)
        known = list(connection.scalars(newest.order_by(func.max(models.c.id).desc()).limit(100)))
        raise NotFound(f"There is no model {ref!r}.", hint=did_you_mean(ref, known) or "`renderctl upload` makes one.")
    return _model_row(connection, row.id)
