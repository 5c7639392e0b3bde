"""Scenes that mean harm, made by the Blender that is to render them: `python scenes.py FOLDER`, with bpy."""

import sys
from pathlib import Path

import bpy

sys.path.insert(0, str(Path(__file__).parents[2] / "blender"))
from blocks import begin, box, camera, save, sun

#: What a script that the job trusts does with the wire to the worker: a word of the stamp note says which.
TALKER = r"""
import bpy, gc, json, time

LINES = {
    "empty": "{}",
    "deep": '{"event": ' + "[" * 100_000,
    "nul": json.dumps({"event": "done", "files": [{"path": "a\0", "name": "a\0"}], "seconds": 1, "memory_mb": 1}),
    "huge": '{"event": "done", "files": [], "seconds": ' + "9" * 5000 + ', "memory_mb": 1}',
}

def talk(scene, *_):
    line = LINES.get(scene.render.stamp_note_text)
    if line is None:
        return
    (wire,) = (each for each in gc.get_objects() if type(each).__name__ == "Wire")
    wire._events.write("@renderctl " + line + "\n")
    wire._events.flush()
    time.sleep(60)

bpy.app.handlers.render_pre.append(talk)
"""


def main(folder: Path) -> None:
    for build in (talking,):
        target = folder / build.__name__
        target.mkdir(parents=True)
        begin()
        build(target)


def talking(folder: Path) -> None:
    """A script that speaks in place of the session."""
    text = bpy.data.texts.new("talk.py")
    text.write(TALKER)
    text.use_module = True
    box("Cube")
    camera("Camera")
    sun()
    save(folder / "scene.blend")


if __name__ == "__main__":
    main(Path(sys.argv[-1]))
