"""Applying what was asked for (`jobs.RenderOptions`) to a scene."""

from collections.abc import Mapping
from typing import Any

import bpy

from inside.faults import SceneFault, listed, no_such
from inside.formats import longer_side

#: Engines by our names; EEVEE was called NEXT from 4.2 to 4.5.
ENGINES = {
    "cycles": ("CYCLES",),
    "eevee": ("BLENDER_EEVEE_NEXT", "BLENDER_EEVEE"),
    "workbench": ("BLENDER_WORKBENCH",),
}
#: Samples that Workbench can take, by its own names.
WORKBENCH_SAMPLES = (("OFF", 1), ("FXAA", 1), ("5", 5), ("8", 8), ("11", 11), ("16", 16), ("32", 32))

Options = Mapping[str, Any]


def apply_options(scene: Any, options: Options, notes: list[str]) -> None:
    """Set engine, view layer, resolution, samples, denoising and threads; None leaves what the scene has."""
    _layers(scene, options["view_layer"])
    choose_engine(scene, options["engine"])
    _resolution(scene, options)
    quality = options["quality"]
    samples = options["samples"] or (quality[1] if quality else None)
    if samples:
        set_samples(scene, samples, notes)
    _denoise(scene, options["denoise"], notes)
    if options["threads"]:
        scene.render.threads_mode = "FIXED"
        scene.render.threads = options["threads"]


def _layers(scene: Any, name: str | None) -> None:
    if name is None:
        return
    if name not in scene.view_layers:
        raise no_such("view layer", name, scene.view_layers.keys())
    for layer in scene.view_layers:
        layer.use = layer.name == name


def choose_engine(scene: Any, name: str | None) -> None:
    """The engine of our name, or the scene's own. Raises SceneFault when this Blender does not have it."""
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
    """An engine of an add-on that is not here is lost when the scene is opened; then there is none."""
    if not scene.render.engine:
        known = ", ".join(ENGINES)
        raise SceneFault(f"The scene's render engine is not part of Blender; choose one with --engine ({known}).")


def _resolution(scene: Any, options: Options) -> None:
    render = scene.render
    if options["resolution"]:
        render.resolution_x, render.resolution_y = options["resolution"]
    elif options["quality"]:
        own = (render.resolution_x, render.resolution_y)
        render.resolution_x, render.resolution_y = longer_side(own, options["quality"][0])
    if options["percentage"]:
        render.resolution_percentage = options["percentage"]
    elif options["resolution"] or options["quality"]:
        render.resolution_percentage = 100


def set_samples(scene: Any, samples: int, notes: list[str]) -> None:
    engine = scene.render.engine
    if engine == "CYCLES":
        scene.cycles.samples = samples
        scene.cycles.adaptive_min_samples = min(scene.cycles.adaptive_min_samples, samples)
    elif engine.startswith("BLENDER_EEVEE"):
        scene.eevee.taa_render_samples = samples
    elif engine == "BLENDER_WORKBENCH":
        name, got = max((each for each in WORKBENCH_SAMPLES if each[1] <= samples and each[0] != "FXAA"), key=_second)
        scene.display.render_aa = name
        if got != samples:
            notes.append(
                f"Workbench renders {got} samples: it takes {listed(str(n) for _, n in WORKBENCH_SAMPLES[2:])}."
            )


def _second(pair: tuple[str, int]) -> int:
    return pair[1]


def _denoise(scene: Any, wanted: bool | None, notes: list[str]) -> None:
    if scene.render.engine != "CYCLES":
        return
    if wanted is not None:
        scene.cycles.use_denoising = wanted
    if scene.cycles.use_denoising and not _can_denoise():
        scene.cycles.use_denoising = False
        notes.append("This Blender was built without a denoiser; the frames are not denoised.")


def _can_denoise() -> bool:
    import _cycles

    return bool(getattr(_cycles, "with_openimagedenoise", False))
