"""What is asked of a database, how it executes that, and how many rows a MySQL server reads for it."""

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Engine, event

#: Tables that grow with every frame.
GROWING = ("task", "attempt", "output")
#: Rows that may be sorted, or looked through, whatever else there is.
FEW = 3_000
_READS = "SHOW SESSION STATUS WHERE Variable_name LIKE 'Handler_read%' OR Variable_name = 'Handler_icp_attempts'"


@dataclass
class Statement:
    """A statement, and what is known of it."""

    text: str
    parameters: Any  #: with which it was executed first
    what: str  #: what was done then
    rows_read: int = 0  #: at most, in one execution

    @property
    def is_about_growing_tables(self) -> bool:
        verb = self.text.split(None, 1)[0].upper()
        return verb in ("SELECT", "UPDATE", "DELETE") and bool(self._names())

    def slow_steps(self, connection: Connection) -> list[str]:
        """Full scans and sorts of tables that grow, as the server plans them."""
        rows = connection.exec_driver_sql(f"EXPLAIN {self.text}", self.parameters).mappings().all()
        return [
            f"{row['table']}: {row['type']} by {row['key']}, {row['rows']} rows, {row['Extra']}"
            for row in rows
            if row["table"] in self._names() and int(str(row["rows"] or 0).split()[0]) > FEW and _is_slow(row)
        ]

    def scans(self, connection: Connection) -> list[str]:
        """Full scans of tables that grow, as SQLite plans them."""
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {self.text}", self.parameters).all()
        names = "|".join(self._names())
        return [row[3] for row in rows if re.match(rf"SCAN ({names})\b", row[3])]

    def _names(self) -> set[str]:
        """The growing tables that it is about, as it calls them."""
        found = re.findall(rf"(?:FROM|JOIN|UPDATE|,) \(?({'|'.join(GROWING)})\b(?: AS (\w+))?", self.text)
        return {alias or table for table, alias in found}


@dataclass
class StatementLog:
    """Statements by their texts, each once."""

    statements: dict[str, Statement] = field(default_factory=dict)
    what: str = ""  #: is done at this moment

    @contextmanager
    def of(self, engine: Engine) -> Iterator["StatementLog"]:
        """Log what the engine executes for as long as the context."""
        event.listen(engine, "before_cursor_execute", self._before)
        event.listen(engine, "after_cursor_execute", self._after)
        try:
            yield self
        finally:
            event.remove(engine, "before_cursor_execute", self._before)
            event.remove(engine, "after_cursor_execute", self._after)

    def _before(self, connection: Connection, _cursor: Any, text: str, parameters: Any, *_: Any) -> None:
        first = parameters[0] if isinstance(parameters, list) else parameters
        self.statements.setdefault(text, Statement(text, first, self.what))
        if connection.dialect.name == "sqlite":  # which does not say how much it reads
            return
        noise = _rows_read(connection)
        connection.info["rows_read"] = (_rows_read(connection), noise)

    def _after(self, connection: Connection, _cursor: Any, text: str, *_: Any) -> None:
        if connection.dialect.name == "sqlite":
            return
        before, noise = connection.info.pop("rows_read")
        rows = _rows_read(connection) - before - (before - noise)  # to ask for the number reads some, too
        self.statements[text].rows_read = max(self.statements[text].rows_read, rows)


def _rows_read(connection: Connection) -> int:
    with closing(connection.connection.cursor()) as cursor:
        cursor.execute(_READS)
        return sum(int(value) for _, value in cursor.fetchall())


def _is_slow(row: Any) -> bool:
    return row["type"] in ("ALL", "index") or "filesort" in (row["Extra"] or "")
