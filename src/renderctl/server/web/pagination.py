"""Pages of long lists, and the links between them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar
from urllib.parse import urlencode

from fastapi import Query

Row = TypeVar("Row")
#: Query parameters: the text of a filter, and the number of a page.
FilterText = Annotated[str, Query(max_length=255)]
PageNumber = Annotated[int, Query(ge=1, le=1 << 20)]


@dataclass(frozen=True)
class Page(Generic[Row]):
    """One page of a list."""

    rows: Sequence[Row]
    total: int
    first: int  #: the number of the first row, from 1
    before: str | None  #: the link to the page before; None: this is the first
    after: str | None


def paginate(rows: Sequence[Row], page: int, size: int, path: str, filters: dict[str, str]) -> Page[Row]:
    """The page with that number, of `size` rows."""
    begin = (page - 1) * size
    before = url_with(path, filters | {"page": str(page - 1) if page > 2 else ""}) if page > 1 else None
    after = url_with(path, filters | {"page": str(page + 1)}) if begin + size < len(rows) else None
    return Page(rows[begin : begin + size], len(rows), begin + 1, before, after)


def url_with(path: str, filters: Mapping[str, str]) -> str:
    """The path with a query of the non-empty filters."""
    query = urlencode({name: value for name, value in filters.items() if value})
    return f"{path}?{query}" if query else path
