"""What several routes are sent."""

from typing import Annotated

from pydantic import BaseModel, Field

from renderctl.jobs import Input
from renderctl.limits import MAX_COUNT, MAX_NAME, MAX_PATH

Name = Annotated[str, Field(max_length=MAX_NAME)]


class FileBody(BaseModel):
    path: Annotated[str, Field(description="Below the model's root, with slashes.", max_length=MAX_PATH)]
    digest: Annotated[str, Field(description="SHA-256, in hex.", pattern="^[0-9a-f]{64}$")]
    size: Annotated[int, Field(description="Bytes.", ge=0, le=MAX_COUNT)]

    def input(self) -> Input:
        return Input(self.path, self.digest, self.size)
