"""Render images: container images that contain a Blender."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from renderctl.core.errors import ImageMissing


@dataclass(frozen=True)
class RenderImage:
    """A render image of an engine, described by its labels."""

    blender: str  #: the version, such as `4.5.15`
    reference: str  #: its name: `renderctl-blender:4.5.15`
    digest: str  #: image ID: `sha256:…`
    size: int  #: bytes; images may share layers
    created_at: datetime
    program: Path  #: path inside the image: a `blender`, or a Python that has bpy
    module: bool  #: whether it is a Python with bpy
    cycles_only: bool = False  #: without Mesa, so neither EEVEE nor Workbench

    @property
    def version(self) -> tuple[int, ...]:
        """The version as numbers."""
        return tuple(int(number) for number in self.blender.split("."))


@dataclass(frozen=True)
class BuildRecipe:
    """The options of an image build."""

    blender: str | None = None  #: `4.5` for its newest known release, or `4.5.15`; None: the newest known
    cycles_only: bool = False
    reference: str | None = None  #: name of the image; None: `renderctl-blender:VERSION`, with `-cycles` if cycles_only
    authorities: Path | None = None  #: further certificates to trust during the build
    index: str | None = field(default=None, repr=False)  #: URL of a Python package index, which may hold a password
    apt_mirror: str | None = None  #: URL of a Debian mirror
    url: str | None = None  #: URL of Blender's archive: the image gets the program instead of the module
    base: str | None = None  #: base image
    network: str | None = None  #: network of the build, such as `host`; None: the engine's default
    sha256: str | None = None  #: digest of Blender's module or archive, if it is not known here
    unpinned: bool = False  #: allow a base image and a Blender without a digest


#: Called with the steps done, the steps known so far, and the present step.
OnBuildStep = Callable[[int, int, str], None]


class Images(ABC):
    """The render images of an engine."""

    @abstractmethod
    def list(self) -> Sequence[RenderImage]:
        """Return all render images, newest Blender first. Raises EngineUnavailable."""

    @abstractmethod
    def build(self, recipe: BuildRecipe, on_step: OnBuildStep) -> RenderImage:
        """Build an image. Raises InvalidInput, BuildFailed, EngineUnavailable."""

    @abstractmethod
    def pull(self, reference: str, on_step: OnBuildStep) -> RenderImage:
        """Pull an image from its registry. Raises NotFound, PullFailed, EngineUnavailable."""

    @abstractmethod
    def remove(self, reference: str) -> RenderImage:
        """Remove an image by name or digest. Raises NotFound, or EngineRefused while it is in use."""

    def resolve(self, blender: str) -> RenderImage:
        """Return the newest image for a version such as `4.5` or `4.5.15`; one with all render engines first.

        Raises ImageMissing, EngineUnavailable.
        """
        version = tuple(blender.split("."))
        fitting = [image for image in self.list() if tuple(image.blender.split("."))[: len(version)] == version]
        if not fitting:
            hint = f"Build one with `renderctl images build --blender {blender}`."
            raise ImageMissing(f"There is no render image with Blender {blender}.", hint=hint)
        return max(fitting, key=lambda image: (not image.cycles_only, image.version, image.created_at))
