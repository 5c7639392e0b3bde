"""The render images of a Docker engine."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from renderctl.core.errors import EngineRefused, ImageMissing, PullFailed
from renderctl.core.errors import NotFound as NoSuchImage
from renderctl.executors.docker.client import Engine, NotFound, error_text
from renderctl.executors.docker.image_builder import Builder, reference_of
from renderctl.executors.images import Images, OnStep, Recipe, RenderImage

_VERSION, _PROGRAM, _MODULE, _CYCLES_ONLY = (
    f"renderctl.blender.{each}" for each in ("version", "program", "module", "cycles-only")
)
_LIST_HINT = "`renderctl images list` says which there are."
#: What a registry answers that is there and has nothing for us.
_NOT_FOR_US = ("not found", "manifest unknown", "does not exist", "denied", "unauthorized", "authentication required")


class DockerImages(Images):
    """Those that `compose/blender` has made: they are known by their labels."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def list(self) -> Sequence[RenderImage]:
        with self._engine.speaking() as client:
            found = client.api.images(filters={"label": _VERSION, "dangling": False})
        images = [image for each in found for image in _named_by_tags(each)]
        return sorted(images, key=lambda each: (each.version, each.created_at, each.reference), reverse=True)

    def build(self, recipe: Recipe, on_step: OnStep) -> RenderImage:
        self._engine.version()  # one that is away is told by us, not by the program that builds
        Builder(self._engine.address).build(recipe, on_step)
        return self._find(reference_of(recipe))

    def pull(self, reference: str, on_step: OnStep) -> RenderImage:
        repository, tag = _parted(reference)
        try:
            with self._engine.speaking() as client:
                _follow(client.api.pull(repository, tag=tag, stream=True, decode=True), on_step)
        except (EngineRefused, ImageMissing, NotFound) as error:
            raise _not_pulled(reference, error) from error
        return self._find(reference)

    def remove(self, reference: str) -> RenderImage:
        image = self._find(reference)
        with self._engine.speaking() as client:
            client.images.remove(image.reference)
        return image

    def close(self) -> None:
        self._engine.close()

    def _find(self, reference: str) -> RenderImage:
        """The image of that name or digest. Raises NoSuchImage for none, and for one that is no render image."""
        try:
            with self._engine.speaking() as client:
                digest = client.images.get(reference).id
        except ImageMissing as error:
            raise NoSuchImage(f"There is no image {reference}.", hint=_LIST_HINT) from error
        images = [each for each in self.list() if each.digest == digest]
        if not images:
            raise NoSuchImage(f"{reference} is no render image: it lacks the label {_VERSION}.", hint=_LIST_HINT)
        repository, tag = _parted(reference)
        named = [each for each in images if each.reference == f"{repository}:{tag}"]
        return (
            named[0] if named else replace(images[0], reference=reference if "@" in reference else images[0].reference)
        )


def _named_by_tags(found: Mapping[str, Any]) -> Iterator[RenderImage]:
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


def _parted(reference: str) -> tuple[str, str]:
    """Repository, and tag or digest: `latest` when none is named."""
    repository, at, digest = reference.partition("@")
    if at:
        return repository, digest
    repository, colon, tag = reference.rpartition(":")
    return (repository, tag) if colon and "/" not in tag else (reference, "latest")


def _follow(events: Iterable[Mapping[str, Any]], on_step: OnStep) -> None:
    """Count the layers of a pull. Raises EngineRefused for what goes wrong after it began."""
    layers: dict[str, bool] = {}
    for event in events:
        if "error" in event:
            raise EngineRefused(event["error"])
        status = event.get("status", "")
        if event.get("id") and not status.startswith("Pulling from"):
            layers[event["id"]] = status in ("Pull complete", "Already exists")
            on_step(sum(layers.values()), len(layers), f"layer {event['id']}: {status.lower()}")


def _not_pulled(reference: str, error: Exception) -> NoSuchImage | PullFailed:
    words = error_text(error.__cause__ if isinstance(error.__cause__, Exception) else error)
    if any(each in words.lower() for each in _NOT_FOR_US):
        hint = "Check the name; `docker login` is for registries that ask who you are."
        return NoSuchImage(f"No registry has {reference} for us: {words}.", hint=hint)
    hint = "`renderctl images build` makes an image without a registry."
    return PullFailed(f"{reference} can not be pulled: {words}.", hint=hint)
