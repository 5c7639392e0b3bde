"""Rendering the tasks of a session, one after the other, in the scene that is open."""

import os
import resource
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import bpy

from inside.cameras import Cameras
from inside.faults import MachineFault, SceneFault, from_blender
from inside.fluid_caches import redirect_fluids
from inside.formats import forget_origin, size
from inside.outputs import FileOutputs, file_names, keep_in_folder, literal_path
from inside.progress import Reporter
from inside.wire import Document, Wire, printing_to


@dataclass
class Stage:
    """A scene that is ready to be rendered."""

    scene: Any
    extension: str
    device: str
    notes: list[str] = field(default_factory=list)
    in_order: bool = False  #: what moves depends on the frames before: play them all


def serve(wire: Wire, stage: Stage) -> None:
    """Say `ready`, then render each task that comes until one says `leave`."""
    render = stage.scene.render
    _prepare(render)
    redirect_fluids()
    width, height = size(render)
    wire.emit(
        "ready",
        version=".".join(map(str, bpy.app.version)),
        engine=render.engine,
        device=stage.device,
        width=width,
        height=height,
        extension=stage.extension,
        notes=stage.notes,
    )
    work = Work(stage, Reporter(wire))
    for order in wire:
        if order.get("leave"):
            break
        _one(wire, work, order)
    work.end()


def _prepare(render: Any) -> None:
    keep_in_folder()
    render.use_persistent_data = True
    render.use_overwrite = True
    render.use_placeholder = False
    render.use_render_cache = False
    render.compositor_device = "CPU"  # the same pixels everywhere; on a GPU that is not there, Blender aborts
    forget_origin(render)


def _one(wire: Wire, work: "Work", order: Document) -> None:
    began = time.monotonic()
    try:
        with printing_to(order["log"]):
            files = work.render(order)
    except (SceneFault, MachineFault) as fault:
        wire.fail(fault, task=order["task"])
    except MemoryError:
        wire.fail(MachineFault("Blender ran out of memory."), task=order["task"])
    except RuntimeError as error:
        wire.fail(from_blender(error), task=order["task"])
    else:
        wire.emit("done", task=order["task"], files=files, seconds=time.monotonic() - began, memory_mb=work.memory_mb())


class Work:
    """The rendering itself."""

    def __init__(self, stage: Stage, reporter: Reporter) -> None:
        self._stage = stage
        self._cameras = Cameras(stage.scene)
        self._outputs = FileOutputs(stage.scene)
        self._reporter = reporter
        self._played: int | None = None
        bpy.app.handlers.render_stats.append(reporter)

    def end(self) -> None:
        bpy.app.handlers.render_stats.remove(self._reporter)

    def render(self, order: Document) -> list[Document]:
        """Render one task; the files that it wrote, the image first. Raises SceneFault, MachineFault, RuntimeError."""
        scene, folder = self._stage.scene, order["folder"]
        name = f"{order['frame']:04d}.{self._stage.extension}"
        print(f"Blender {bpy.app.version_string} renders frame {order['frame']} of scene {scene.name!r}.", flush=True)
        self._cameras.look(order["camera"])
        self._outputs.write_to(folder)
        scene.render.filepath = literal_path(os.path.join(folder, name))
        self._reporter.begin(order["task"])
        try:
            self._go_to(order["frame"])
            bpy.ops.render.render(write_still=True, scene=scene.name)
        finally:
            self._reporter.begin(None)
        names = file_names(folder, name)
        if not names:
            raise MachineFault("Blender says that it is finished, but wrote no image.")
        return [{"path": os.path.join(folder, each), "name": each} for each in names]

    def _go_to(self, frame: int) -> None:
        scene = self._stage.scene
        if self._stage.in_order:
            begin = scene.frame_start if self._played is None or self._played >= frame else self._played + 1
            for passed in range(begin, frame):
                scene.frame_set(passed)
        scene.frame_set(frame)
        self._played = frame

    def memory_mb(self) -> float:
        """The most memory that this process has used so far, in megabytes."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)
