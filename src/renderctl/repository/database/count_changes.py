"""Changes of the counts of jobs, collected in a transaction and written at its end."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from sqlalchemy import Connection, func
from sqlalchemy.dialects import mysql, sqlite

from renderctl.repository.schema.counts import job_counts

#: What is counted.
COUNTED = tuple(column.name for column in job_counts.c if not column.primary_key)


@dataclass
class CountChanges:
    """The changes of counts in one transaction."""

    by_row: dict[tuple[str, int], Counter[str]] = field(default_factory=dict)  #: by job and shard

    def add(self, job_id: str, shard: int, changes: Mapping[str, int]) -> None:
        """Add changes of one row; negative numbers subtract."""
        row = self.by_row.setdefault((job_id, shard), Counter())
        for name, change in changes.items():
            row[name] += change

    def write(self, connection: Connection) -> None:
        """Write all changes: the last statement of a transaction before its commit."""
        changed = {key: row for key, row in sorted(self.by_row.items()) if any(row.values())}
        if changed:
            names = tuple(name for name in COUNTED if any(row[name] for row in changed.values()))
            rows = [
                {"job_id": job_id, "shard": shard, **{name: row[name] for name in names}}
                for (job_id, shard), row in changed.items()
            ]
            connection.execute(_add_statement(connection.dialect.name, names), rows)
        self.by_row.clear()


@cache
def _add_statement(dialect: str, names: tuple[str, ...]) -> Any:
    """Return the statement that adds to these columns of a row, or inserts it."""
    if dialect == "sqlite":
        into = sqlite.insert(job_counts)
        added = {name: job_counts.c[name] + into.excluded[name] for name in names}
        return into.on_conflict_do_update(index_elements=[job_counts.c.job_id, job_counts.c.shard], set_=added)
    added = {name: job_counts.c[name] + func.values(job_counts.c[name]) for name in names}
    return mysql.insert(job_counts).on_duplicate_key_update(added)
