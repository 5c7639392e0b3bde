"""Long lists in parts, and the addresses of the parts before and after."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar
from urllib.parse import urlencode

from fastapi import Query

Row = TypeVar("Row")
#: What a filter of a page is asked with: text, and which part of what it finds.
Word = Annotated[str, Query(max_length=255)]
PageNumber = Annotated[int, Query(ge=1, le=1 << 20)]


@dataclass(frozen=True)
class Page(Generic[Row]):
    """A part of a list."""

    rows: Sequence[Row]
    total: int
    first: int  #: the place of the first row, from 1 on
    before: str | None  #: the address of the part before; None: this is the first
    after: str | None


def paginate(rows: Sequence[Row], page: int, size: int, path: str, said: dict[str, str]) -> Page[Row]:
    """The part that is asked for of all that was found."""
    begin = (page - 1) * size
    before = address(path, said | {"page": str(page - 1) if page > 2 else ""}) if page > 1 else None
    after = address(path, said | {"page": str(page + 1)}) if begin + size < len(rows) else None
    return Page(rows[begin : begin + size], len(rows), begin + 1, before, after)


def address(path: str, said: Mapping[str, str]) -> str:
    """Where the same is asked again."""
    query = urlencode({name: value for name, value in said.items() if value})
    return f"{path}?{query}" if query else path
