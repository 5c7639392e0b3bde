"""Embedded farms for the benchmarks that need no Blender."""

from pathlib import Path
from typing import Any

from renderctl.core.actors import local_actor
from renderctl.core.frames import FrameSet
from renderctl.core.jobs import Input, Job, NewJob, RenderOptions
from renderctl.core.models import Model, ModelFacts, SceneFacts
from renderctl.core.new_model import NewModel
from renderctl.core.settings import Settings
from renderctl.farm import Farm
from renderctl.wiring import open_farm

ACTOR = local_actor("bench")


def given_farm(data_dir: Path) -> Any:
    """The embedded farm of a folder."""
    return open_farm(Settings(data_dir=data_dir))


def given_model(farm: Farm) -> Model:
    """A model that is known of, and need not be opened."""
    scene = SceneFacts("Scene", None, (), 1, 240, 1, 1, 24.0, (64, 64), 100, "CYCLES", 1, "PNG", ("ViewLayer",), 1, 6)
    facts = ModelFacts("5.0", "5.0.1", "Scene", (scene,), 0, 1, 6)
    new = NewModel("bench", "bench.blend", "d" * 64, facts, (Input("bench.blend", "e" * 64, 1),))
    model, _ = farm.repository.models.add(new, actor=ACTOR)
    return model


def given_job(farm: Farm, model: Model, frames: str) -> Job:
    job, _ = farm.repository.jobs.add(
        NewJob(model.name, model.id, RenderOptions(), FrameSet.parse(frames)), actor=ACTOR
    )
    return job
