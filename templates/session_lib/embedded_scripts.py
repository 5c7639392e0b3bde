"""Scripts in a scene: registered text blocks, drivers that Blender does not trust, OSL and Freestyle."""

from collections.abc import Iterator
from typing import Any

import bpy

from session_lib.native_scripts import native_scripts

#: The most scripts that are listed: rigged characters have thousands of drivers.
MAX_LISTED = 1000


def scripts() -> list[str]:
    """Describe the scripts that run if the scene is trusted; at most MAX_LISTED of them."""
    texts = [f"text {text.name}" for text in bpy.data.texts if text.use_module]
    native = sorted({str(script) for script in native_scripts()})
    drivers = sorted({f"driver of {block.name}: {driver.expression}" for block, driver in _blocked_drivers()})
    descriptions = [*texts, *native, *drivers]
    return descriptions[:MAX_LISTED] + (
        [f"… and {len(descriptions) - MAX_LISTED} more"] if len(descriptions) > MAX_LISTED else []
    )


def note_blocked_scripts(notes: list[str]) -> None:
    """Add a note about scripts that were blocked, if there were any."""
    if bpy.app.autoexec_fail:
        blocked = scripts() or [bpy.app.autoexec_fail_message or "a script"]
        notes.append(f"Scripts were blocked ({'; '.join(blocked[:5])}); --trust-scripts allows them.")


def _blocked_drivers() -> Iterator[tuple[Any, Any]]:
    for block in _animatable_blocks():
        for curve in block.animation_data.drivers if block.animation_data else ():
            driver = curve.driver
            if driver.type == "SCRIPTED" and not driver.is_simple_expression and not driver.is_valid:
                yield block, driver


def _animatable_blocks() -> Iterator[Any]:
    """Yield every datablock that can have drivers, embedded node trees included."""
    for collection in bpy.data.bl_rna.properties:
        if collection.type != "COLLECTION":
            continue
        for block in getattr(bpy.data, collection.identifier):
            if hasattr(block, "animation_data"):
                yield block
            tree = getattr(block, "node_tree", None)
            if tree is not None and hasattr(tree, "animation_data"):
                yield tree
