"""The render images of the engine that this machine uses."""

from collections.abc import Sequence

from renderctl.executors.images import BuildRecipe, OnBuildStep, RenderImage
from renderctl.farm import Farm


def list_images(farm: Farm) -> Sequence[RenderImage]:
    """All of them, the newest Blender first. Raises EngineUnavailable."""
    return farm.images.list()


def build_image(farm: Farm, recipe: BuildRecipe, on_step: OnBuildStep) -> RenderImage:
    """Make one. Raises InvalidInput, BuilderMissing, BuildFailed, EngineUnavailable."""
    return farm.images.build(recipe, on_step)


def pull_image(farm: Farm, reference: str, on_step: OnBuildStep) -> RenderImage:
    """Fetch one from its registry. Raises NotFound, PullFailed, EngineUnavailable."""
    return farm.images.pull(reference, on_step)


def remove_image(farm: Farm, reference: str) -> RenderImage:
    """Forget one, by what it is called or its digest. Raises NotFound, EngineRefused while it is used."""
    return farm.images.remove(reference)
