"""Request models that several routes share."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field

from renderctl.core.jobs import Input
from renderctl.core.limits import MAX_COUNT, MAX_NAME, MAX_PATH

#: Years within the range of every database and time zone.
_FIRST_YEAR, _LAST_YEAR = 1900, 9990


def _in_range(time: datetime) -> datetime:
    if not _FIRST_YEAR <= time.year <= _LAST_YEAR:
        raise ValueError("is out of range")
    return time


Timestamp = Annotated[datetime, AfterValidator(_in_range)]
Name = Annotated[str, Field(max_length=MAX_NAME)]


class FileBody(BaseModel):
    path: Annotated[str, Field(description="Below the model's root, with slashes.", max_length=MAX_PATH)]
    digest: Annotated[str, Field(description="SHA-256, in hex.", pattern="^[0-9a-f]{64}$")]
    size: Annotated[int, Field(description="Bytes.", ge=0, le=MAX_COUNT)]

    def input(self) -> Input:
        return Input(self.path, self.digest, self.size)
