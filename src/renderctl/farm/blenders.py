"""Which Blender opens a scene, and how its session is started."""

import os
from dataclasses import dataclass
from pathlib import Path

from renderctl.blender.find import OLDEST, Blender, find_blenders, oldest_able, pick_blender, spell
from renderctl.blender.header import SavedBy
from renderctl.blender.session import Limits, Session
from renderctl.executors import Launch
from renderctl.farm import Farm
from renderctl.models import ModelFacts


@dataclass(frozen=True)
class Chosen:
    """The Blender for a scene."""

    blender: Blender
    note: str | None  #: what the artist should know: it is older than the one that saved the scene


def known_blenders(farm: Farm) -> tuple[Blender, ...]:
    """Every Blender that this machine has. Finds none: an empty tuple."""
    return find_blenders(farm.settings.blender.paths, cache_dir=farm.settings.data_dir)


def choose_blender(farm: Farm, saved_by: SavedBy) -> Chosen:
    """The nearest version that can open the scene. Raises BlenderMissing, SceneTooNew."""
    return Chosen(*pick_blender(known_blenders(farm), saved_by))


def needed_blender(facts: ModelFacts) -> str | None:
    """The oldest Blender that can open the model, such as `4.5`; None: any that we speak to."""
    oldest = oldest_able(saved_by(facts))
    return spell(oldest[:2]) if oldest > OLDEST else None


def start_session(farm: Farm, blender: Blender, scratch: Path, inputs: tuple[Path, ...] = ()) -> Session:
    """A Blender that waits for what to do, with `scratch` as the one place that it writes to."""
    scratch.mkdir(parents=True, exist_ok=True)
    log = scratch / "session.log"
    launch = Launch(blender.argv(), scratch, log, environment=blender.environment, inputs=inputs)
    return Session(farm.executor.start(launch), scratch, log=log, clock=farm.clock.monotonic)


def limits(farm: Farm, frame_timeout_s: float | None = None) -> Limits:
    """How long a session may take, for a job with its own limit for a frame."""
    chosen = farm.settings.blender
    frame_s = frame_timeout_s if frame_timeout_s is not None else chosen.frame_timeout
    return Limits(start_s=chosen.start_timeout, stall_s=chosen.stall_timeout, frame_s=frame_s)


def cpu_threads(farm: Farm) -> int:
    """Threads of one Blender: the setting, else an equal share of the cores for each slot; 0: all of them."""
    if farm.settings.blender.threads:
        return farm.settings.blender.threads
    slots = farm.settings.worker.slots
    return max(1, (os.cpu_count() or 1) // slots) if slots > 1 else 0


def saved_by(facts: ModelFacts) -> SavedBy:
    """Which Blender saved a model, as its facts have it."""
    major, minor = (int(number) for number in facts.saved_by.split(".")[:2])
    return SavedBy((major, minor), int(major >= 5))
