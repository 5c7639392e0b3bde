"""The database: transactions, the unit of work that each of them is, and what their commits write."""

from renderctl.repository.database.transactions import Database, Part, durable_write, read, write
from renderctl.repository.database.unit_of_work import add_audit_entry, add_audit_outcome, db_now, unit_of

__all__ = [
    "Database",
    "Part",
    "add_audit_entry",
    "add_audit_outcome",
    "db_now",
    "durable_write",
    "read",
    "unit_of",
    "write",
]
