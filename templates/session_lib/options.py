"""Applying render options (`jobs.RenderOptions`) to a scene."""

from collections.abc import Mapping
from typing import Any

import bpy

from session_lib.faults import SceneFault, comma_separated, unknown_name
from session_lib.image_formats import longer_side

#: Engines by renderctl's names; EEVEE's identifier had NEXT from 4.2 to 4.5.
ENGINES = {
    "cycles": ("CYCLES",),
    "eevee": ("BLENDER_EEVEE_NEXT", "BLENDER_EEVEE"),
    "workbench": ("BLENDER_WORKBENCH",),
}
#: Samples that Workbench supports, by its identifiers.
WORKBENCH_SAMPLES = (("OFF", 1), ("FXAA", 1), ("5", 5), ("8", 8), ("11", 11), ("16", 16), ("32", 32))

Options = Mapping[str, Any]


def apply_options(scene: Any, options: Options, notes: list[str]) -> None:
    """Set engine, view layer, resolution, samples, denoising and threads; None keeps the scene's setting."""
    _set_view_layer(scene, options["view_layer"])
    choose_engine(scene, options["engine"])
    _set_resolution(scene, options)
    quality = options["quality"]
    samples = options["samples"] or (quality[1] if quality else None)
    if samples:
        set_samples(scene, samples, notes)
    _set_denoising(scene, options["denoise"], notes)
    if options["threads"]:
        scene.render.threads_mode = "FIXED"
        scene.render.threads = options["threads"]


def _set_view_layer(scene: Any, name: str | None) -> None:
    if name is None:
        return
    if name not in scene.view_layers:
        raise unknown_name("view layer", name, scene.view_layers.keys())
    for layer in scene.view_layers:
        layer.use = layer.name == name


def choose_engine(scene: Any, name: str | None) -> None:
    """Set the engine, or check the scene's own for None. Raises SceneFault if this Blender lacks it."""
    if name is None:
        _check_engine(scene)
        return
    for identifier in ENGINES[name]:
        try:
            scene.render.engine = identifier
            return
        except TypeError:
            continue
    raise SceneFault(f"This Blender ({bpy.app.version_string}) has no {name}.")


def _check_engine(scene: Any) -> None:
    """Raise SceneFault if the scene has no engine: that of a missing add-on is lost on opening."""
    if not scene.render.engine:
        known = ", ".join(ENGINES)
        raise SceneFault(f"The scene's render engine is not part of Blender; choose one with --engine ({known}).")


def _set_resolution(scene: Any, options: Options) -> None:
    render = scene.render
    if options["resolution"]:
        render.resolution_x, render.resolution_y = options["resolution"]
    elif options["quality"]:
        current = (render.resolution_x, render.resolution_y)
        render.resolution_x, render.resolution_y = longer_side(current, options["quality"][0])
    if options["percentage"]:
        render.resolution_percentage = options["percentage"]
    elif options["resolution"] or options["quality"]:
        render.resolution_percentage = 100


def set_samples(scene: Any, samples: int, notes: list[str]) -> None:
    """Set the samples per pixel; Workbench gets the closest lower number, with a note."""
    engine = scene.render.engine
    if engine == "CYCLES":
        scene.cycles.samples = samples
        scene.cycles.adaptive_min_samples = min(scene.cycles.adaptive_min_samples, samples)
    elif engine.startswith("BLENDER_EEVEE"):
        scene.eevee.taa_render_samples = samples
    elif engine == "BLENDER_WORKBENCH":
        name, actual = max(
            (pair for pair in WORKBENCH_SAMPLES if pair[1] <= samples and pair[0] != "FXAA"), key=_second
        )
        scene.display.render_aa = name
        if actual != samples:
            notes.append(
                f"Workbench renders {actual} samples: it supports "
                f"{comma_separated(str(count) for _, count in WORKBENCH_SAMPLES[2:])}."
            )


def _second(pair: tuple[str, int]) -> int:
    return pair[1]


def _set_denoising(scene: Any, requested: bool | None, notes: list[str]) -> None:
    if scene.render.engine != "CYCLES":
        return
    if requested is not None:
        scene.cycles.use_denoising = requested
    if scene.cycles.use_denoising and not _can_denoise():
        scene.cycles.use_denoising = False
        notes.append("This Blender was built without a denoiser; the frames are not denoised.")


def _can_denoise() -> bool:
    import _cycles

    return bool(getattr(_cycles, "with_openimagedenoise", False))
