"""The steps of migrations. MySQL has no transactions for tables: what a killed upgrade has done already is passed over,

so that the next one goes on from there.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from renderctl.repository.database.engine import collation

TIME = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql")
BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
LONG_TEXT = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql")


def create_table(name: str, *parts: Any, **options: Any) -> None:
    """A table whose texts compare byte by byte."""
    if not _inspector().has_table(name):
        options |= {
            "mysql_engine": "InnoDB",
            "mysql_charset": "utf8mb4",
            "mysql_collate": collation(op.get_bind().engine),
        }
        op.create_table(name, *parts, **options)


def drop_table(name: str) -> None:
    if _inspector().has_table(name):
        op.drop_table(name)


def create_index(name: str, table: str, columns: list[str], *, unique: bool = False) -> None:
    if name not in _indices(table):
        op.create_index(name, table, columns, unique=unique)


def drop_index(name: str, table: str) -> None:
    if name in _indices(table):
        op.drop_index(name, table)


def add_column(table: str, column: sa.Column[Any]) -> None:
    if column.name not in _columns(table):
        op.add_column(table, column)


def drop_column(table: str, name: str) -> None:
    if name in _columns(table):
        op.drop_column(table, name)


def _inspector() -> sa.Inspector:
    return sa.inspect(op.get_bind())


def _indices(table: str) -> set[str | None]:
    return {row["name"] for row in _inspector().get_indexes(table)}


def _columns(table: str) -> set[str]:
    return {row["name"] for row in _inspector().get_columns(table)}
