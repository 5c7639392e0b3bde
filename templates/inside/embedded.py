"""Programs inside a scene: text blocks that register themselves, drivers that Blender does not trust, and OSL."""

from collections.abc import Iterator
from typing import Any

import bpy

from inside.native_scripts import native_scripts

#: So many scripts are named: a crowd of characters has a driver for every finger.
MOST = 1000


def scripts() -> list[str]:
    """What runs when the scene is rendered with its scripts trusted; of very many the first ones."""
    texts = [f"text {text.name}" for text in bpy.data.texts if text.use_module]
    native = sorted({str(script) for script in native_scripts()})
    drivers = sorted({f"driver of {block.name}: {driver.expression}" for block, driver in _blocked_drivers()})
    found = [*texts, *native, *drivers]
    return found[:MOST] + ([f"… and {len(found) - MOST} more"] if len(found) > MOST else [])


def tell_of_blocked(notes: list[str]) -> None:
    """Add a sentence about what was kept from running, if anything was."""
    if bpy.app.autoexec_fail:
        wanting = scripts() or [bpy.app.autoexec_fail_message or "a script"]
        notes.append(f"Scripts were blocked ({'; '.join(wanting[:5])}); --trust-scripts lets them run.")


def _blocked_drivers() -> Iterator[tuple[Any, Any]]:
    for block in _animated():
        for curve in block.animation_data.drivers if block.animation_data else ():
            driver = curve.driver
            if driver.type == "SCRIPTED" and not driver.is_simple_expression and not driver.is_valid:
                yield block, driver


def _animated() -> Iterator[Any]:
    """Every datablock that may have drivers, node trees inside of datablocks too."""
    for collection in bpy.data.bl_rna.properties:
        if collection.type != "COLLECTION":
            continue
        for block in getattr(bpy.data, collection.identifier):
            if hasattr(block, "animation_data"):
                yield block
            tree = getattr(block, "node_tree", None)
            if tree is not None and hasattr(tree, "animation_data"):
                yield tree
