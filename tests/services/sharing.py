"""The servers that one run of pytest shares: each is started by whichever of its processes needs it first."""

import fcntl
import json
import os
import shlex
import shutil
import signal
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import psutil

from tests.services.server import CLOCK, Server, ServerFailed

ROOT = Path(__file__).parents[2]

#: The folder in which the processes of one run tell each other what runs.
FOLDER = "RENDERCTL_TEST_SHARED"


def open_folder() -> None:
    """In the process that all others of the run come from."""
    folder = tempfile.mkdtemp(prefix="renderctl-shared-")
    (Path(folder) / "owner").write_text(str(os.getpid()))
    os.environ[FOLDER] = folder


def close_folder() -> None:
    """End what was started for this run, and wait for it."""
    folder = Path(os.environ.pop(FOLDER))
    pids = [json.loads(note.read_text()).get("pid") for note in folder.glob("*.json")]
    for pid in filter(None, pids):
        with suppress(psutil.NoSuchProcess):
            keeper = psutil.Process(pid)
            keeper.send_signal(signal.SIGTERM)
            while _lives(keeper):
                CLOCK.wait(None, 0.02)
    shutil.rmtree(folder, ignore_errors=True)


def shared(kind: type[Server]) -> dict[str, str]:
    """The variables of the run's server of that kind, which is started if it must. Raises ServerFailed."""
    folder = Path(os.environ[FOLDER])
    note = folder / f"{kind.name}.json"
    with (folder / f"{kind.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not note.exists():
            note.write_text(json.dumps(_start(kind, folder)))
    told = json.loads(note.read_text())
    if "error" in told:
        raise ServerFailed(told["error"])
    variables: dict[str, str] = told["variables"]
    return variables


def _start(kind: type[Server], folder: Path) -> dict[str, object]:
    """Its keeper lives as long as the run, which may be longer than our own process."""
    told, errors = folder / f"{kind.name}.out", folder / f"{kind.name}.err"
    command = [sys.executable, "-m", "tests.services", "--only", kind.name, "--owner", (folder / "owner").read_text()]
    new = os.O_WRONLY | os.O_CREAT
    files = [(os.POSIX_SPAWN_OPEN, number, str(path), new, 0o600) for number, path in ((1, told), (2, errors))]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "src")))}
    keeper = psutil.Process(os.posix_spawn(command[0], command, environment, file_actions=files, setsid=True))
    while not told.exists() or not told.read_text().endswith("\n\n"):
        if not _lives(keeper):
            return {"error": errors.read_text()}
        CLOCK.wait(None, 0.02)
    lines = [shlex.split(line)[-1].partition("=") for line in told.read_text().splitlines() if line]
    return {"pid": keeper.pid, "variables": {name: url for name, _, url in lines}}


def _lives(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.status() != psutil.STATUS_ZOMBIE
    return False
