"""What a job asks of the workers of its pool."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Requirements:
    """Tags that a worker must have, and how old its newest Blender may be."""

    tags: tuple[str, ...] = ()  #: of a node's owner (`worker.tags`), of a GPU (`optix`), of a Blender (`blender-5.0`)
    blender: str | None = None  #: the oldest version that can open the scene, such as `4.5`; None: any that we speak to

    def __bool__(self) -> bool:
        return bool(self.tags or self.blender)

    def each(self) -> tuple["Requirements", ...]:
        """One by one."""
        return (
            *(Requirements(tags=(tag,)) for tag in self.tags),
            *((Requirements(blender=self.blender),) if self.blender else ()),
        )

    @property
    def key(self) -> str:
        """The same for requirements that come to the same; empty: nothing is asked."""
        if not self:
            return ""
        parts = json.dumps([sorted(set(self.tags)), self.blender])
        return hashlib.sha256(parts.encode()).hexdigest()[:32]

    def as_document(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_document(cls, document: Mapping[str, Any] | None) -> "Requirements":
        """None, as older jobs have it: nothing is asked."""
        return cls(tuple(document["tags"]), document["blender"]) if document else cls()


NOTHING_REQUIRED = Requirements()
