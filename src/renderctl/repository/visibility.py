"""What an actor may see, as the database is asked for it."""

from typing import Any

from sqlalchemy import ColumnElement, Table, or_

from renderctl.core.permissions import Visibility


def visible(table: Table, sight: Visibility) -> list[ColumnElement[Any]]:
    """Conditions on rows that have an owner and a project; none: all of them are visible."""
    if sight.everything:
        return []
    return [or_(table.c.owner == sight.owner, table.c.project.in_(sorted(sight.projects)))]
