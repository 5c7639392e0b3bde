"""One session: a Blender that runs the scripts it is told to, one after the other, until it is told to quit.

Started as `python session.py` by a Python that has the bpy module, or as
`blender -b --factory-startup -Y --python-exit-code 17 -P session.py`. What it reads and writes: see inside/wire.py.
"""

import importlib
import os
import shutil
import sys
import traceback
from pathlib import Path

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from inside.faults import MachineFault, SceneFault, sentence
from inside.parent import die_with_parent
from inside.wire import Wire

BROKEN = 17  #: exit code of a session that could not start


def run(path: str, wire: Wire) -> None:
    """Run one script in a namespace of its own, with the `wire` in it; what it raises becomes a `failed` event."""
    namespace = {"__name__": "__main__", "__file__": path, "wire": wire}
    try:
        exec(compile(Path(path).read_text(encoding="utf-8"), path, "exec"), namespace)
    except (SceneFault, MachineFault) as fault:
        wire.fail(fault)
    except MemoryError:
        wire.fail(MachineFault("Blender ran out of memory."))
    except BaseException as error:
        traceback.print_exc()
        wire.fail(SceneFault(f"The script raised {type(error).__name__}: {sentence(str(error))}"))
    wire.emit("left")


def serve(wire: Wire) -> None:
    """Run what is asked for until `quit` or the end of the input."""
    for order in wire:
        if order.get("quit"):
            return
        if "run" in order:  # a script that has ended too early may leave orders unread
            run(order["run"], wire)
            import_ahead()


def import_ahead() -> None:
    """Import what rendering needs: who looks at a scene before it is rendered has something else to do meanwhile."""
    for name in ("cameras", "devices", "formats", "native_scripts", "options", "properties", "replacements", "serving"):
        importlib.import_module(f"inside.{name}")


def begin_with_shaders() -> None:
    """Have a copy of the shaders that an image brings along: compiling them costs EEVEE's first frame half a minute.

    Mesa uses no folder that it can not write to, and what one session writes no other one may be given.
    """
    shaders = Path(sys.prefix) / "shaders"
    if "MESA_SHADER_CACHE_DIR" in os.environ or not shaders.is_dir():
        return
    own = Path(os.environ.get("TMPDIR", "/tmp")) / "shaders"
    try:
        shutil.copytree(shaders, own, dirs_exist_ok=True)
    except OSError:  # they are compiled anew
        return
    os.environ["MESA_SHADER_CACHE_DIR"] = str(own)


def leave(code: int, temporary: str = "") -> None:
    """End at once: Blender 4.5 hangs when the interpreter ends in good order, and none removes its files then."""
    sys.stdout.flush()
    sys.stderr.flush()
    if temporary:
        shutil.rmtree(temporary, ignore_errors=True)
    os._exit(code)


def main() -> None:
    die_with_parent()
    wire = Wire.take()
    begin_with_shaders()
    try:
        import bpy
    except ImportError as error:
        wire.fail(MachineFault(f"Blender can not be loaded: {error}."))
        leave(BROKEN)
    wire.emit("started", version=".".join(map(str, bpy.app.version)), label=bpy.app.version_string, pid=os.getpid())
    serve(wire)
    leave(0, bpy.app.tempdir)


main()
