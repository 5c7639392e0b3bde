"""Quotas: what users and projects use, counted in the transaction that adds to it."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table, func, select, union_all
from sqlalchemy.dialects import mysql

from renderctl.core.quotas import Amount, Holder, Limits, QuotaReport, Resource, UploadState, require_quota
from renderctl.core.states import ENDED_JOB, OPEN_JOB
from renderctl.repository.counts import read_counts
from renderctl.repository.database import Part, db_now, read
from renderctl.repository.database.batches import batches
from renderctl.repository.schema.counts import job_counts
from renderctl.repository.schema.jobs import job_inputs, jobs, model_inputs, models, uploads
from renderctl.repository.schema.quotas import quota_locks
from renderctl.repository.schema.webhooks import webhooks

#: Time after its end from which on a job publishes nothing more: then what it has rendered is summed up once.
_SETTLED = timedelta(hours=1)
_BATCH = 1000
_UNUSED = (UploadState.ANNOUNCED, UploadState.RECEIVED)


class QuotaReports(Part):
    """Reports on what is used."""

    @read
    def report(self, connection: Connection, holder: Holder, limits: Limits) -> QuotaReport:
        """Return what a user or project uses and may use."""
        open_jobs, open_tasks = _open_work(connection, holder)
        files, size = _incoming(connection, holder.name, db_now(connection))
        return QuotaReport(
            kind=holder.kind,
            name=holder.name,
            jobs=Amount(open_jobs, limits.jobs),
            tasks=Amount(open_tasks, limits.tasks),
            stored_bytes=Amount(_file_bytes(connection, holder) + _rendered(connection, holder), limits.stored_bytes),
            webhooks=Amount(_count_webhooks(connection, holder), limits.webhooks),
            incoming_files=Amount(files, limits.incoming_files) if holder.kind == "user" else None,
            incoming_bytes=Amount(size, limits.incoming_bytes) if holder.kind == "user" else None,
        )


def lock_quotas(connection: Connection, holders: Iterable[Holder]) -> None:
    """Prevent others from adding to these quotas until the transaction ends. SQLite has only one writer anyway."""
    if connection.dialect.name != "mysql":
        return
    taking = mysql.insert(quota_locks).on_duplicate_key_update(holder=func.values(quota_locks.c.holder))
    for key in sorted(f"{holder.kind}:{holder.name}" for holder in holders):
        connection.execute(taking, {"holder": key})


def require_work(connection: Connection, limits: Mapping[Holder, Limits], *, jobs: int = 0, tasks: int = 0) -> None:
    """Raise QuotaExceeded if so many more open jobs and tasks are not allowed."""
    for holder, limit in limits.items():
        open_jobs, open_tasks = _open_work(connection, holder)
        require_quota(holder, Resource.JOBS, open_jobs + jobs, limit)
        require_quota(holder, Resource.TASKS, open_tasks + tasks, limit)


def require_storage(connection: Connection, limits: Mapping[Holder, Limits]) -> None:
    """Raise QuotaExceeded if what is stored is more than allowed.

    Files that several models share are first counted several times, which is quick; exactly only if that is too much.
    """
    for holder, limit in limits.items():
        if limit.stored_bytes is None:
            continue
        rendered = _rendered(connection, holder)
        uploaded = _sum(connection, select(func.sum(models.c.size)).where(_owned(models, holder)))
        brought = _sum(connection, _of_jobs(select(func.sum(job_inputs.c.size)), holder))
        if rendered + uploaded + brought > limit.stored_bytes:
            require_quota(holder, Resource.STORED, rendered + _file_bytes(connection, holder), limit)


def require_webhooks(connection: Connection, limits: Mapping[Holder, Limits]) -> None:
    """Raise QuotaExceeded if there are more webhooks than allowed."""
    for holder, limit in limits.items():
        require_quota(holder, Resource.WEBHOOKS, _count_webhooks(connection, holder), limit)


def require_incoming(connection: Connection, limits: Mapping[Holder, Limits], now: datetime) -> None:
    """Raise QuotaExceeded if more is announced and received than allowed."""
    for holder, limit in limits.items():
        if holder.kind == "user":
            files, size = _incoming(connection, holder.name, now)
            require_quota(holder, Resource.INCOMING_FILES, files, limit)
            require_quota(holder, Resource.INCOMING, size, limit)


def use_uploads(connection: Connection, user: str, digests: Iterable[str]) -> None:
    """Note that received files are part of a model or job now."""
    for some in batches(sorted(set(digests)), _BATCH):
        these = (uploads.c.owner == user) & uploads.c.digest.in_(some) & (uploads.c.state == UploadState.RECEIVED)
        connection.execute(uploads.update().where(these).values(state=UploadState.USED))


def free_uploads(connection: Connection, user: str, digests: Iterable[str]) -> None:
    """Note that the model or job of received files is gone: they count as incoming again."""
    for some in batches(sorted(set(digests)), _BATCH):
        these = (uploads.c.owner == user) & uploads.c.digest.in_(some) & (uploads.c.state == UploadState.USED)
        connection.execute(uploads.update().where(these).values(state=UploadState.RECEIVED))


def store_ended_sums(connection: Connection, limits: Mapping[Holder, Limits], now: datetime) -> None:
    """Store how much ended jobs have rendered, so that it is not counted again and again."""
    for holder in limits:
        query = select(jobs.c.id).where(
            jobs.c.removed_at.is_(None),
            _owned(jobs, holder),
            jobs.c.state.in_(ENDED_JOB),
            jobs.c.output_bytes.is_(None),
        )
        settled = connection.scalars(query.where(jobs.c.finished_at < now - _SETTLED).limit(_BATCH)).all()
        for job_id in settled:
            size = read_counts(connection, [job_id])[job_id].output_bytes
            connection.execute(jobs.update().where(jobs.c.id == job_id).values(output_bytes=size))


def _incoming(connection: Connection, user: str, now: datetime) -> tuple[int, int]:
    """Return files and bytes that are announced or received, and in no model or job yet."""
    query = select(func.count(), func.sum(uploads.c.size)).where(uploads.c.owner == user, uploads.c.until > now)
    row = connection.execute(query.where(uploads.c.state.in_(_UNUSED))).one()
    return int(row[0]), int(row[1] or 0)


def _open_work(connection: Connection, holder: Holder) -> tuple[int, int]:
    query = select(func.count(), func.coalesce(func.sum(jobs.c.task_count), 0))
    row = connection.execute(query.where(_owned(jobs, holder), jobs.c.state.in_(OPEN_JOB))).one()
    return int(row[0]), int(row[1])


def _rendered(connection: Connection, holder: Holder) -> int:
    """Return the bytes that jobs have rendered: stored sums of those that ended long ago, counts of the others."""
    there = _owned(jobs, holder) & jobs.c.removed_at.is_(None)
    summed = select(func.sum(jobs.c.output_bytes)).where(there)
    fresh = select(func.sum(job_counts.c.output_bytes)).join(jobs, jobs.c.id == job_counts.c.job_id)
    fresh = fresh.where(there, jobs.c.output_bytes.is_(None), jobs.c.started_at.is_not(None))
    return _sum(connection, summed) + _sum(connection, fresh)


def _file_bytes(connection: Connection, holder: Holder) -> int:
    """Return the bytes of the files of models and jobs, each file once."""
    of_models = select(model_inputs.c.digest, model_inputs.c.size).join(models, models.c.id == model_inputs.c.model_id)
    of_jobs = _of_jobs(select(job_inputs.c.digest, job_inputs.c.size), holder)
    files = union_all(of_models.where(_owned(models, holder)), of_jobs).subquery()
    each_once = select(func.max(files.c.size).label("size")).group_by(files.c.digest).subquery()
    return _sum(connection, select(func.sum(each_once.c.size)))


def _of_jobs(query: Select[Any], holder: Holder) -> Select[Any]:
    """Restrict a query of jobs' files to those of the holder."""
    return query.join(jobs, jobs.c.id == job_inputs.c.job_id).where(_owned(jobs, holder), jobs.c.removed_at.is_(None))


def _count_webhooks(connection: Connection, holder: Holder) -> int:
    return _sum(connection, select(func.count()).select_from(webhooks).where(_owned(webhooks, holder)))


def _sum(connection: Connection, query: Select[Any]) -> int:
    return int(connection.scalar(query) or 0)


def _owned(table: Table, holder: Holder) -> ColumnElement[bool]:
    return (table.c.owner if holder.kind == "user" else table.c.project) == holder.name
