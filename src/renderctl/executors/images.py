"""Render images: what a container has a Blender from."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from renderctl.core.errors import ImageMissing


@dataclass(frozen=True)
class RenderImage:
    """An image that an engine has, as its labels tell it."""

    blender: str  #: the version, such as `4.5.15`
    reference: str  #: what people call it: `renderctl-blender:4.5.15`
    digest: str  #: what it is, by its contents: `sha256:…`
    size: int  #: bytes, of which images may share some
    created_at: datetime
    program: Path  #: inside: a `blender`, or a Python that has bpy
    module: bool  #: whether it is such a Python
    cycles_only: bool = False  #: it has no Mesa: neither EEVEE nor Workbench

    @property
    def version(self) -> tuple[int, ...]:
        return tuple(int(number) for number in self.blender.split("."))


@dataclass(frozen=True)
class Recipe:
    """What an image is to be built from."""

    blender: str | None = None  #: such as `4.5`, the newest known of it, or `4.5.15`; None: the newest known
    cycles_only: bool = False
    reference: str | None = None  #: what to call it; None: `renderctl-blender:VERSION`, with `-cycles` if it is
    authorities: Path | None = None  #: certificates to trust beside the usual ones, while it is built
    index: str | None = field(default=None, repr=False)  #: URL of Python packages, maybe with a password
    apt_mirror: str | None = None  #: URL of Debian's packages
    url: str | None = None  #: of Blender's own archive: the image has the program, and not the module
    base: str | None = None  #: the image to start from
    network: str | None = None  #: that the build is connected to, such as `host`; None: the engine's usual one
    sha256: str | None = None  #: of Blender's module or archive, where we do not know it
    unpinned: bool = False  #: take a base and a Blender whose digest nobody has named


#: Steps done, steps known so far, and what is being done.
OnStep = Callable[[int, int, str], None]


class Images(ABC):
    """The render images of an engine."""

    @abstractmethod
    def list(self) -> Sequence[RenderImage]:
        """All of them, the newest Blender first. Raises EngineUnavailable."""

    @abstractmethod
    def build(self, recipe: Recipe, on_step: OnStep) -> RenderImage:
        """Make one. Raises InvalidInput, BuildFailed, EngineUnavailable."""

    @abstractmethod
    def pull(self, reference: str, on_step: OnStep) -> RenderImage:
        """Fetch one from its registry. Raises NotFound, PullFailed, EngineUnavailable."""

    @abstractmethod
    def remove(self, reference: str) -> RenderImage:
        """Forget one, by what it is called or its digest. Raises NotFound, EngineRefused while it is used."""

    def resolve(self, blender: str) -> RenderImage:
        """The image for a version such as `4.5` or `4.5.15`: the newest that fits, one with every engine before others.

        Raises ImageMissing, EngineUnavailable.
        """
        wanted = tuple(blender.split("."))
        fitting = [each for each in self.list() if tuple(each.blender.split("."))[: len(wanted)] == wanted]
        if not fitting:
            hint = f"`renderctl images build --blender {blender}` makes one."
            raise ImageMissing(f"There is no render image with Blender {blender}.", hint=hint)
        return max(fitting, key=lambda each: (not each.cycles_only, each.version, each.created_at))
