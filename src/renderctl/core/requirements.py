"""What a job requires of a worker."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Requirements:
    """The tags that a worker must have, and the oldest Blender that can open the scene."""

    tags: tuple[str, ...] = ()  #: a node's (`worker.tags`), a GPU's (`optix`) or a Blender's (`blender-5.0`)
    blender: str | None = None  #: the oldest version that can open the scene, such as `4.5`; None: any

    def __bool__(self) -> bool:
        return bool(self.tags or self.blender)

    def split(self) -> tuple["Requirements", ...]:
        """Return the requirements one by one, to report which is not met."""
        return (
            *(Requirements(tags=(tag,)) for tag in self.tags),
            *((Requirements(blender=self.blender),) if self.blender else ()),
        )

    @property
    def key(self) -> str:
        """A digest that is equal for equivalent requirements; empty for none."""
        if not self:
            return ""
        parts = json.dumps([sorted(set(self.tags)), self.blender])
        return hashlib.sha256(parts.encode()).hexdigest()[:32]

    def as_document(self) -> dict[str, Any]:
        """Return the requirements as a JSON document."""
        return asdict(self)

    @classmethod
    def from_document(cls, document: Mapping[str, Any] | None) -> "Requirements":
        """Read the requirements of a JSON document; None, as in older jobs: none."""
        return cls(tuple(document["tags"]), document["blender"]) if document else cls()


NO_REQUIREMENTS = Requirements()
