"""A session: a Blender process that runs the scripts that renderctl requests, one after the other, until it quits.

Started as `python session.py` by a Python that has the bpy module, or as
`blender -b --factory-startup -Y --python-exit-code 17 -P session.py`. session_lib/protocol.py has the protocol.
"""

import importlib
import os
import shutil
import sys
import traceback
from pathlib import Path

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from session_lib.die_with_parent import die_with_parent
from session_lib.faults import MachineFault, SceneFault, sentence
from session_lib.protocol import ProtocolChannel

EXIT_BROKEN = 17  #: exit code of a session that could not start


def run(path: str, channel: ProtocolChannel) -> None:
    """Run one script in its own namespace, which has the `channel`; an exception becomes a `failed` event."""
    namespace = {"__name__": "__main__", "__file__": path, "channel": channel}
    try:
        exec(compile(Path(path).read_text(encoding="utf-8"), path, "exec"), namespace)
    except (SceneFault, MachineFault) as fault:
        channel.fail(fault)
    except MemoryError:
        channel.fail(MachineFault("Blender ran out of memory."))
    except BaseException as error:
        traceback.print_exc()
        channel.fail(SceneFault(f"The script raised {type(error).__name__}: {sentence(str(error))}"))
    channel.emit("left")


def serve(channel: ProtocolChannel) -> None:
    """Run the requested scripts until `quit` or the end of the input."""
    for request in channel:
        if request.get("quit"):
            return
        if "run" in request:  # other requests were meant for a script that has ended early
            run(request["run"], channel)
            preload()


_PRELOADED = (
    *("cameras", "devices", "image_formats", "native_scripts"),
    *("options", "properties", "replacements", "task_loop"),
)


def preload() -> None:
    """Import what rendering needs while the caller is busy with the scene's facts."""
    for name in _PRELOADED:
        importlib.import_module(f"session_lib.{name}")


def copy_shader_cache() -> None:
    """Copy the shader cache of a container image: compiling shaders costs EEVEE's first frame half a minute.

    It is a copy since Mesa needs a writable folder, and sessions must not share what they write.
    """
    shaders = Path(sys.prefix) / "shaders"
    if "MESA_SHADER_CACHE_DIR" in os.environ or not shaders.is_dir():
        return
    copy = Path(os.environ.get("TMPDIR", "/tmp")) / "shaders"
    try:
        shutil.copytree(shaders, copy, dirs_exist_ok=True)
    except OSError:  # then they are compiled
        return
    os.environ["MESA_SHADER_CACHE_DIR"] = str(copy)


def end_process(code: int, temporary: str = "") -> None:
    """Exit without finalizing the interpreter: Blender 4.5 hangs there. Removes Blender's temporary files itself."""
    sys.stdout.flush()
    sys.stderr.flush()
    if temporary:
        shutil.rmtree(temporary, ignore_errors=True)
    os._exit(code)


def main() -> None:
    """Start Blender's module, announce it with `started`, and serve requests."""
    die_with_parent()
    channel = ProtocolChannel.take()
    copy_shader_cache()
    try:
        import bpy
    except ImportError as error:
        channel.fail(MachineFault(f"Blender cannot be loaded: {error}."))
        end_process(EXIT_BROKEN)
    channel.emit("started", version=".".join(map(str, bpy.app.version)), label=bpy.app.version_string, pid=os.getpid())
    serve(channel)
    end_process(0, bpy.app.tempdir)


main()
