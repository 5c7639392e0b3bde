"""Which Blender opens a scene, and how its session is started."""

import math
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from renderctl.blender.find import (
    OLDEST,
    Blender,
    find_blenders,
    format_version,
    min_version_for,
    pick_blender,
    version_of,
)
from renderctl.blender.header import SavedBy
from renderctl.blender.templates import templates_dir
from renderctl.blender.watchdog import SessionTimeouts
from renderctl.core.errors import BlenderMissing, ImageMissing, SandboxMissing
from renderctl.executors import LaunchSpec
from renderctl.farm import Farm
from renderctl.farm.scratch import scratch_root

if TYPE_CHECKING:  # a Blender that is started ahead starts while the rest is imported
    from renderctl.blender.session import Session
    from renderctl.core.models import ModelFacts
    from renderctl.executors.images import RenderImage


@dataclass(frozen=True)
class BlenderChoice:
    """The Blender for a scene."""

    blender: Blender
    note: str | None  #: what the artist should know: it is older than the one that saved the scene


def known_blenders(farm: Farm) -> tuple[Blender, ...]:
    """Every Blender that the executor can start, newest first. Raises BlenderMissing when there is none."""
    images = farm.executor.images()
    if images is None:
        return find_blenders(farm.settings.blender.paths, cache_dir=farm.settings.data_dir)
    known = [_of_image(image) for image in images]
    usable = [blender for blender in known if blender is not None and blender.version >= OLDEST]
    if not usable:
        hint = "`renderctl images build` makes one."
        raise ImageMissing("The container engine has no image with a Blender.", hint=hint)
    return tuple(sorted(usable, key=lambda blender: blender.version, reverse=True))


def _of_image(image: "RenderImage") -> Blender | None:
    version = version_of(image.blender)
    if version is None:
        return None
    return Blender(version, image.program, image.module, image.digest, image.reference)


def choose_blender(farm: Farm, saved_by: SavedBy, wanted: str | None = None) -> BlenderChoice:
    """The nearest version that can open the scene, of those of `wanted`, such as `4.5`, where that is said.

    Raises BlenderMissing, SceneTooNew.
    """
    known = known_blenders(farm)
    fitting = [blender for blender in known if wanted in (None, format_version(blender.version[:2]))]
    if not fitting:
        there = ", ".join(dict.fromkeys(format_version(blender.version[:2]) for blender in known))
        raise BlenderMissing(f"There is no Blender {wanted} here.", hint=f"There is: {there}")
    return BlenderChoice(*pick_blender(fitting, saved_by))


def needed_blender(facts: "ModelFacts") -> str | None:
    """The oldest Blender that can open the model, such as `4.5`; None: any that we speak to."""
    oldest = min_version_for(saved_by(facts))
    return format_version(oldest[:2]) if oldest > OLDEST else None


def start_session(
    farm: Farm, blender: Blender, scratch: Path, inputs: tuple[Path, ...] = (), *, as_current_user: bool = False
) -> "Session":
    """A Blender that waits for what to do: it writes to `scratch` alone, and reads `inputs`.

    Its log lies beside `scratch`. `as_current_user`: it reads files that nobody but us may be able to read.
    """
    return launch_session(
        farm, replace(session_launch(farm, blender, scratch, inputs), as_current_user=as_current_user)
    )


def session_launch(farm: Farm, blender: Blender, scratch: Path, inputs: tuple[Path, ...] = ()) -> LaunchSpec:
    """How a session is started that writes to `scratch` and reads `inputs`."""
    return LaunchSpec(
        blender.argv(),
        scratch,
        session_log(scratch),
        environment=blender.environment,
        inputs=(templates_dir(), *inputs),
        image=blender.image,
        labels=labels(farm, scratch) if farm.executor.isolated else {},
    )


def launch_session(farm: Farm, launch: LaunchSpec) -> "Session":
    """The session, starting."""
    launch.scratch.mkdir(parents=True, exist_ok=True)
    running = farm.executor.start(launch)
    from renderctl.blender.session import Session  # while it starts

    return Session(running, launch.scratch, log=launch.log, clock=farm.clock.monotonic)


def session_log(scratch: Path) -> Path:
    """What a session prints while it renders nothing: beside its scratch, where it can not get at it."""
    return scratch.with_name(f"{scratch.name}.log")


def require_sandbox(farm: Farm) -> None:
    """Before scenes of others are opened here. Raises SandboxMissing, unless the config takes the risk on."""
    if not farm.executor.sandboxed and not farm.settings.worker.unwalled:
        raise SandboxMissing(
            "This kernel has no Landlock: nothing would keep a scene from this machine's files and passwords.",
            hint="Use a kernel that has it (Linux 5.13 or newer, with landlock among its lsm=), or containers "
            "(executor.kind: docker). If every scene is your own, worker.unwalled: true works without.",
        )


def labels(farm: Farm, scratch: Path) -> dict[str, str]:
    """What tells the sessions of a worker, or of another owner of a folder in the scratch root, from all others."""
    from renderctl.farm.node_id import node_number

    owner = scratch.relative_to(scratch_root(farm)).parts[0]
    return {"renderctl.node": node_number(farm), "renderctl.farm": farm.settings.farm_name, "renderctl.worker": owner}


def limits(farm: Farm, frame_timeout_s: float | None = None) -> SessionTimeouts:
    """How long a session may take, for a job with its own limit for a frame."""
    chosen = farm.settings.blender
    frame_s = frame_timeout_s if frame_timeout_s is not None else chosen.frame_timeout
    return SessionTimeouts(start_s=chosen.start_timeout, stall_s=chosen.stall_timeout, frame_s=frame_s)


def cpu_threads(farm: Farm) -> int:
    """Threads of one Blender: the setting, else an equal share of the cores for each slot; 0: all of them."""
    if farm.settings.blender.threads:
        return farm.settings.blender.threads
    # with a single thread Cycles also spins, which eats up to half of what a container may use
    fewest = 2 if farm.executor.isolated else 1
    if farm.executor.isolated and farm.settings.executor.cpus:
        return max(fewest, math.ceil(farm.settings.executor.cpus))
    slots = farm.settings.worker.slots
    return max(fewest, (os.cpu_count() or 1) // slots) if slots > 1 else 0


def saved_by(facts: "ModelFacts") -> SavedBy:
    """Which Blender saved a model, as its facts have it."""
    major, minor = (int(number) for number in facts.saved_by.split(".")[:2])
    return SavedBy((major, minor), int(major >= 5))
