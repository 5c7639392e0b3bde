"""What a scene may mean to do. It runs inside Blender, where the job trusts it; what it finds out it prints."""

import gc
import json
import os
import socket
import subprocess
import sys
import time

import bpy

#: What belongs to the host, below a folder that the test names: see `_told`.
HOSTS = ("/etc/shadow", "/root/.ssh", "/var/run/docker.sock", "/run/docker.sock")


def act(scene, *_):
    words = scene.render.stamp_note_text.split()
    if words and words[0] in DEEDS:
        DEEDS[words[0]](scene, *words[1:])


def look(scene, port, worker, *paths):
    """Try to reach what is none of its business; what came of it is one line in the log."""
    found = {path: _tried(lambda path=path: _read(path)) for path in (*HOSTS, *paths)}
    found["signal"] = _tried(lambda: os.kill(int(worker), 0)) if int(worker) else "not asked"
    for path in paths:  # an engine's socket is as good as root
        found[f"connect {path}"] = _tried(lambda path=path: socket.socket(socket.AF_UNIX).connect(path))
    for host in ("127.0.0.1", "169.254.169.254"):
        found[host] = _tried(lambda host=host: socket.create_connection((host, int(port)), timeout=2))
    model = os.path.dirname(bpy.data.filepath)
    for where in ("/", "/usr", "/etc", "/opt", "/var", model, os.path.dirname(os.getcwd())):
        found[f"write {where}"] = _tried(lambda where=where: open(os.path.join(where, "written"), "w"))
    found["scene"] = _tried(lambda: open(bpy.data.filepath, "r+b"))
    found["environment"] = [name for name in os.environ if "RENDERCTL" in name]
    found["others"] = _tried(lambda: sum(name.isdigit() for name in os.listdir("/proc")))
    print("FOUND " + json.dumps(found), flush=True)


def fork(_scene):
    while True:
        try:
            if os.fork() == 0:
                time.sleep(600)
        except BlockingIOError:
            print("FOUND no more processes", flush=True)
            raise


def eat(_scene):
    held = []
    while True:
        held.append(bytearray(b"x") * 50_000_000)


def fill(_scene):
    for number in range(10_000):
        with open(f"filler-{number}", "wb") as file:
            file.write(b"x" * 4_000_000)


def outlive(_scene, token):
    code = "import os, sys, time\nos.setsid()\nif os.fork(): os._exit(0)\nprint(sys.argv[1])\ntime.sleep(600)"
    for _ in range(3):
        subprocess.Popen([sys.executable, "-c", code, token])


def link(scene, secret):
    """Pass off a file of the host as what the frame has left."""
    folder = os.path.dirname(scene.render.filepath)
    os.symlink(secret, os.path.join(folder, "stolen.txt"))
    _say("done", files=[{"path": secret, "name": "stolen.txt"}], seconds=0.1, memory_mb=1.0)
    time.sleep(60)


def climb(_scene, secret):
    """The same, with a name that leads out of the folder."""
    _say("done", files=[{"path": secret, "name": "../" * 20 + secret}], seconds=0.1, memory_mb=1.0)
    time.sleep(60)


def swap(scene, secret):
    """Put a link to a file of the host where the log is."""
    log = os.path.dirname(scene.render.filepath) + ".log"
    os.remove(log)
    os.symlink(secret, log)
    print("FOUND the log is swapped", flush=True)


def babble(_scene):
    """Send what makes no sense."""
    _say("progress", fraction={"no": "number"})
    _say("done", files=7)
    time.sleep(60)


def _say(event, **fields):
    (channel,) = (each for each in gc.get_objects() if type(each).__name__ == "ProtocolChannel")
    channel.emit(event, **fields)


def _read(path):
    if os.path.isdir(path):
        return os.listdir(path)
    with open(path, "rb") as file:
        return file.read(200).decode("latin-1")


def _tried(deed):
    try:
        return f"done: {deed()}"
    except Exception as error:
        return type(error).__name__


DEEDS = {each.__name__: each for each in (look, fork, eat, fill, outlive, link, climb, swap, babble)}
bpy.app.handlers.render_pre.append(act)
