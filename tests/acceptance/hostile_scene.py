"""A scene that does what its `render.stamp_note_text` says: `python hostile_scene.py FILE`, with bpy."""

import sys
from pathlib import Path

import bpy

from tests.quick_scene import main

DEEDS = Path(__file__).with_name("hostile_deeds.py")


def hostile(path: str) -> None:
    main(path, samples=1)
    text = bpy.data.texts.new("deeds.py")
    text.write(DEEDS.read_text(encoding="utf-8"))
    text.use_module = True
    bpy.ops.wm.save_as_mainfile(filepath=path)


if __name__ == "__main__":
    hostile(sys.argv[1])
