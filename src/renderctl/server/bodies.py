"""What several routes are sent."""

from typing import Annotated

from pydantic import BaseModel, Field

from renderctl.jobs import Input

MOST_FILES = 100_000
Name = Annotated[str, Field(max_length=255)]


class FileBody(BaseModel):
    path: Annotated[str, Field(description="Below the model's root, with slashes.", max_length=4000)]
    digest: Annotated[str, Field(description="SHA-256, in hex.", pattern="^[0-9a-f]{64}$")]
    size: Annotated[int, Field(description="Bytes.", ge=0, le=1 << 53)]

    def input(self) -> Input:
        return Input(self.path, self.digest, self.size)
