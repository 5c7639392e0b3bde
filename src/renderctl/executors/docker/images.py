"""Lists, builds, pulls and removes the render images of a Docker engine."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from renderctl.core.errors import EngineRefused, ImageMissing, PullFailed
from renderctl.core.errors import NotFound as NoSuchImage
from renderctl.executors.docker.client import Engine, NotFound, error_text
from renderctl.executors.docker.image_builder import ImageBuilder, reference_of
from renderctl.executors.images import BuildRecipe, Images, OnBuildStep, RenderImage

_VERSION, _PROGRAM, _MODULE, _CYCLES_ONLY = (
    f"renderctl.blender.{name}" for name in ("version", "program", "module", "cycles-only")
)
_LIST_HINT = "`renderctl images list` shows the images."
#: Messages of a registry that lacks the image or denies access.
_NOT_AVAILABLE = (
    "not found",
    "manifest unknown",
    "does not exist",
    "denied",
    "unauthorized",
    "authentication required",
)


class DockerImages(Images):
    """Images built from `compose/blender`, recognized by their labels."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def list(self) -> Sequence[RenderImage]:
        """Return the images with Blender's version label, newest Blender first."""
        with self._engine.client() as client:
            found = client.api.images(filters={"label": _VERSION, "dangling": False})
        images = [image for entry in found for image in _images_by_tag(entry)]
        return sorted(images, key=lambda image: (image.version, image.created_at, image.reference), reverse=True)

    def build(self, recipe: BuildRecipe, on_step: OnBuildStep) -> RenderImage:
        """Build with Docker's client program."""
        self._engine.version()  # so that an engine out of reach is reported by us, not by the client program
        ImageBuilder(self._engine.address).build(recipe, on_step)
        return self._find(reference_of(recipe))

    def pull(self, reference: str, on_step: OnBuildStep) -> RenderImage:
        """Pull the image; steps are its layers."""
        repository, tag = _split_reference(reference)
        try:
            with self._engine.client() as client:
                _follow(client.api.pull(repository, tag=tag, stream=True, decode=True), on_step)
        except (EngineRefused, ImageMissing, NotFound) as error:
            raise _pull_error(reference, error) from error
        return self._find(reference)

    def remove(self, reference: str) -> RenderImage:
        """Remove the image's name, and the image with its last name."""
        image = self._find(reference)
        with self._engine.client() as client:
            client.images.remove(image.reference)
        return image

    def close(self) -> None:
        """Close the connection to the engine."""
        self._engine.close()

    def _find(self, reference: str) -> RenderImage:
        """Return the render image of that name or digest. Raises NoSuchImage."""
        try:
            with self._engine.client() as client:
                digest = client.images.get(reference).id
        except ImageMissing as error:
            raise NoSuchImage(f"There is no image {reference}.", hint=_LIST_HINT) from error
        images = [image for image in self.list() if image.digest == digest]
        if not images:
            raise NoSuchImage(f"{reference} is not a render image: it lacks the label {_VERSION}.", hint=_LIST_HINT)
        repository, tag = _split_reference(reference)
        named = [image for image in images if image.reference == f"{repository}:{tag}"]
        return (
            named[0] if named else replace(images[0], reference=reference if "@" in reference else images[0].reference)
        )


def _images_by_tag(found: Mapping[str, Any]) -> Iterator[RenderImage]:
    labels = found["Labels"]
    for reference in found.get("RepoTags") or found.get("RepoDigests") or ():
        yield RenderImage(
            blender=labels[_VERSION],
            reference=reference,
            digest=found["Id"],
            size=found["Size"],
            created_at=datetime.fromtimestamp(found["Created"], UTC),
            program=Path(labels.get(_PROGRAM, "")),
            module=labels.get(_MODULE) == "true",
            cycles_only=labels.get(_CYCLES_ONLY) == "true",
        )


def _split_reference(reference: str) -> tuple[str, str]:
    """Split into repository and tag or digest; the default tag is `latest`."""
    repository, at, digest = reference.partition("@")
    if at:
        return repository, digest
    repository, colon, tag = reference.rpartition(":")
    return (repository, tag) if colon and "/" not in tag else (reference, "latest")


def _follow(events: Iterable[Mapping[str, Any]], on_step: OnBuildStep) -> None:
    """Report the layers of a pull. Raises EngineRefused for an error during the pull."""
    layers: dict[str, bool] = {}
    for event in events:
        if "error" in event:
            raise EngineRefused(event["error"])
        status = event.get("status", "")
        if event.get("id") and not status.startswith("Pulling from"):
            layers[event["id"]] = status in ("Pull complete", "Already exists")
            on_step(sum(layers.values()), len(layers), f"layer {event['id']}: {status.lower()}")


def _pull_error(reference: str, error: Exception) -> NoSuchImage | PullFailed:
    message = error_text(error.__cause__ if isinstance(error.__cause__, Exception) else error)
    if any(text in message.lower() for text in _NOT_AVAILABLE):
        hint = "Check the name; private registries need `docker login`."
        return NoSuchImage(f"No registry provides {reference}: {message}.", hint=hint)
    hint = "`renderctl images build` builds an image without a registry."
    return PullFailed(f"{reference} cannot be pulled: {message}.", hint=hint)
