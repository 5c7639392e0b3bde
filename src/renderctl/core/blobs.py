"""Blobs: who may read them, and what points to them."""

from dataclasses import dataclass

from renderctl.core.permissions import Visibility


@dataclass(frozen=True)
class BlobReader:
    """A user, and the models and jobs that they may see."""

    name: str
    models: Visibility
    jobs: Visibility


@dataclass(frozen=True)
class BlobPointer:
    """A row that points to a blob."""

    digest: str
    what: str  #: such as `model shot@3, textures/wood.png`
