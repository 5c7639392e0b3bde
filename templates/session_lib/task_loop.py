"""The task loop: renders the requested tasks of a session, one after the other, in the open scene."""

import os
import resource
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import bpy

from session_lib.cameras import Cameras
from session_lib.faults import MachineFault, SceneFault, fault_of_error
from session_lib.fluid_caches import redirect_fluids
from session_lib.image_formats import disable_stamps, size
from session_lib.outputs import FileOutputs, file_names, literal_path, sanitize_view_suffixes
from session_lib.progress import ProgressReporter
from session_lib.protocol import JsonObject, ProtocolChannel, redirect_output_to


@dataclass
class RenderContext:
    """An open scene that is ready to render."""

    scene: Any
    extension: str
    device: str
    notes: list[str] = field(default_factory=list)
    in_order: bool = False  #: simulations depend on earlier frames: step through all of them


def serve(channel: ProtocolChannel, context: RenderContext) -> None:
    """Emit `ready`, then render each requested task until a request has `leave`."""
    render = context.scene.render
    _prepare(render)
    redirect_fluids()
    width, height = size(render)
    channel.emit(
        "ready",
        version=".".join(map(str, bpy.app.version)),
        engine=render.engine,
        device=context.device,
        width=width,
        height=height,
        extension=context.extension,
        notes=context.notes,
    )
    renderer = TaskRenderer(context, ProgressReporter(channel))
    for request in channel:
        if request.get("leave"):
            break
        _render_task(channel, renderer, request)
    renderer.end()


def _prepare(render: Any) -> None:
    sanitize_view_suffixes()
    render.use_persistent_data = True
    render.use_overwrite = True
    render.use_placeholder = False
    render.use_render_cache = False
    render.compositor_device = "CPU"  # the same pixels everywhere; Blender aborts for a missing GPU
    disable_stamps(render)


def _render_task(channel: ProtocolChannel, renderer: "TaskRenderer", request: JsonObject) -> None:
    began = time.monotonic()
    try:
        with redirect_output_to(request["log"]):
            files = renderer.render(request)
    except (SceneFault, MachineFault) as fault:
        channel.fail(fault, task=request["task"])
    except MemoryError:
        channel.fail(MachineFault("Blender ran out of memory."), task=request["task"])
    except RuntimeError as error:
        channel.fail(fault_of_error(error), task=request["task"])
    else:
        channel.emit(
            "done", task=request["task"], files=files, seconds=time.monotonic() - began, memory_mb=renderer.memory_mb()
        )


class TaskRenderer:
    """Renders tasks of an open scene."""

    def __init__(self, context: RenderContext, reporter: ProgressReporter) -> None:
        self._context = context
        self._cameras = Cameras(context.scene)
        self._outputs = FileOutputs(context.scene)
        self._reporter = reporter
        self._last_frame: int | None = None
        bpy.app.handlers.render_stats.append(reporter)

    def end(self) -> None:
        """Remove the progress handler."""
        bpy.app.handlers.render_stats.remove(self._reporter)

    def render(self, request: JsonObject) -> list[JsonObject]:
        """Render a task; return its files, the image first. Raises SceneFault, MachineFault, RuntimeError."""
        scene, folder = self._context.scene, request["folder"]
        name = f"{request['frame']:04d}.{self._context.extension}"
        print(f"Blender {bpy.app.version_string} renders frame {request['frame']} of scene {scene.name!r}.", flush=True)
        self._cameras.activate(request["camera"])
        self._outputs.write_to(folder)
        scene.render.filepath = literal_path(os.path.join(folder, name))
        self._reporter.begin(request["task"])
        try:
            self._set_frame(request["frame"])
            bpy.ops.render.render(write_still=True, scene=scene.name)
        finally:
            self._reporter.begin(None)
        names = file_names(folder, name)
        if not names:
            raise MachineFault("Blender reported success but wrote no image.")
        return [{"path": os.path.join(folder, name), "name": name} for name in names]

    def _set_frame(self, frame: int) -> None:
        scene = self._context.scene
        if self._context.in_order:
            first = scene.frame_start if self._last_frame is None or self._last_frame >= frame else self._last_frame + 1
            for earlier in range(first, frame):
                scene.frame_set(earlier)
        scene.frame_set(frame)
        self._last_frame = frame

    def memory_mb(self) -> float:
        """Return the peak memory of this process, in megabytes (of 2**20 bytes)."""
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)
