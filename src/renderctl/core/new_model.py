"""Models that are about to be added."""

from dataclasses import dataclass

from renderctl.core.jobs import Input
from renderctl.core.models import ModelFacts


@dataclass(frozen=True)
class NewModel:
    """An uploaded model whose blobs are in the store."""

    name: str
    main: str  #: path of the .blend among the inputs
    digest: str  #: of the manifest
    facts: ModelFacts
    inputs: tuple[Input, ...]
    project: str = "default"
