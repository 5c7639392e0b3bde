"""`python -m tests.services [--only NAME …] [-- COMMAND …]`: servers for a command, or until Ctrl-C.

One that a variable names already is not started; one that this machine can not run is left out, unless CI is set.
"""

import argparse
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import psutil

from tests.services import SERVERS, Server, ServerFailed
from tests.services.server import CLOCK

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
LEAVE_S = 20.0


class Told(BaseException):
    """We were told to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def main(words: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.services", description=__doc__)
    names = [kind.name for kind in SERVERS]
    parser.add_argument("--only", action="append", choices=names, metavar="NAME", help=f"of {', '.join(names)}")
    parser.add_argument("--owner", type=int, metavar="PID", help="end with this process")
    parser.add_argument("command", nargs="*", help="what to run beside the servers")
    options = parser.parse_args(words)
    kinds = [kind for kind in SERVERS if kind.name in (options.only or names)]
    servers: list[Server] = []
    for number in SIGNALS:
        signal.signal(number, _end)
    try:
        servers += [kind() for kind in _wanted(kinds, needed=not options.command)]
        variables = _start(servers)
        if options.command:
            return _run(options.command, variables)
        for name, url in variables.items():
            print(f"export {name}={shlex.quote(url)}")
        print(flush=True)
        _wait(options.owner)
        return 0
    except ServerFailed as error:
        print(f"tests.services: {error}", file=sys.stderr)
        return 1
    except Told as told:
        return 128 + told.number
    finally:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        for server in servers:
            server.discard()


def _end(number: int, _frame: object) -> None:
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise Told(number)


def _wanted(kinds: Sequence[type[Server]], *, needed: bool) -> list[type[Server]]:
    """Those to start. Raises ServerFailed when one can not be and is needed, or promised as in CI."""
    unset = [kind for kind in kinds if not os.environ.get(kind.variable)]
    missing = {kind: lack for kind in unset if (lack := kind.missing())}
    if missing and (needed or os.environ.get("CI")):
        raise ServerFailed("\n".join(missing.values()))
    for lack in missing.values():
        print(f"tests.services: left out: {lack}", file=sys.stderr)
    return [kind for kind in unset if kind not in missing]


def _start(servers: Sequence[Server]) -> dict[str, str]:
    """All at once; the variables that make tests use them. Raises ServerFailed."""
    with ThreadPoolExecutor() as pool:
        try:
            list(pool.map(lambda server: server.start(), servers))
        except BaseException:
            for server in servers:
                server.discard()
            raise
    return {name: url for server in servers for name, url in server.variables.items()}


def _run(command: Sequence[str], variables: dict[str, str]) -> int:
    """Run a command to its end; its exit code. It is told to end when we are, and killed if it does not."""
    try:
        child = subprocess.Popen(command, env=os.environ | variables)
    except OSError as error:
        print(f"tests.services: {command[0]}: {error.strerror}", file=sys.stderr)
        return 127
    try:
        return child.wait() if child.returncode is None or child.returncode >= 0 else 128 - child.returncode
    except Told as told:
        _end_tree(child, patience_s=LEAVE_S if told.number == signal.SIGINT else 0.0)
        raise


def _end_tree(child: "subprocess.Popen[bytes]", patience_s: float) -> None:
    """A terminal's Ctrl-C has reached it before us: it may take its time."""
    with suppress(psutil.NoSuchProcess):
        tree = psutil.Process(child.pid).children(recursive=True)
        with suppress(subprocess.TimeoutExpired):
            child.wait(patience_s)
        child.terminate()
        with suppress(subprocess.TimeoutExpired):
            child.wait(LEAVE_S)
        for process in (psutil.Process(child.pid), *tree):
            with suppress(psutil.NoSuchProcess):
                process.kill()
    child.wait()


def _wait(owner: int | None) -> None:
    """Until we are told to end, or the owner is gone."""
    process = psutil.Process(owner) if owner is not None else None
    while process is None or process.is_running():
        CLOCK.wait(None, 0.5)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
