"""A node with a network cable of its own: a namespace that reaches the farm's servers through one pair of interfaces.

The processes in it find every server of the farm at GATEWAY. Nothing of this machine's own network is changed.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.lacking import lacking

#: Where the namespace finds the servers, and its own address.
GATEWAY, NODE = "10.77.0.1", "10.77.0.2"


def missing() -> str | None:
    """What keeps this user from laying a cable; None: nothing."""
    if os.geteuid() == 0 and shutil.which("ip") and shutil.which("nsenter"):
        return None
    return "Network namespaces need root, `ip` (iproute2) and `nsenter` (util-linux)."


def require_namespaces() -> None:
    """Skip where they can not be had; in CI that is a failure."""
    if reason := missing():
        lacking(reason)


@dataclass(frozen=True)
class Cable:
    """What joins a node to the farm."""

    near: str  #: the namespace of the forwarder
    far: str  #: the namespace of the node

    @property
    def prefix(self) -> tuple[str, ...]:
        """What starts a command in the node's namespace; it becomes that command, with the same process id."""
        return ("nsenter", f"--net=/run/netns/{self.far}")

    def cut(self) -> None:
        """Nothing goes in or out, and nobody is told: what is sent is lost."""
        _ip("-n", self.near, "link", "set", "near", "down")

    def deafen(self) -> None:
        """What the node sends arrives and is acted on; the answers are lost."""
        _ip("-n", self.near, "route", "replace", "blackhole", f"{NODE}/32")

    def mend(self) -> None:
        """As it was; connections that have survived on both ends go on."""
        with suppress(subprocess.CalledProcessError):  # it was not deaf
            _ip("-n", self.near, "route", "del", "blackhole", f"{NODE}/32")
        _ip("-n", self.near, "link", "set", "near", "up")


@contextmanager
def laid_cable(name: str, ports: Iterable[int]) -> Iterator[Cable]:
    """A namespace in which GATEWAY:PORT is this machine's 127.0.0.1:PORT; gone after the context."""
    cable = Cable(f"{name}-near", f"{name}-far")
    try:
        for namespace in (cable.near, cable.far):
            _ip("netns", "add", namespace)
            _ip("-n", namespace, "link", "set", "lo", "up")
        _ip("-n", cable.near, "link", "add", "near", "type", "veth", "peer", "name", "far", "netns", cable.far)
        for namespace, end, address in ((cable.near, "near", GATEWAY), (cable.far, "far", NODE)):
            _ip("-n", namespace, "address", "add", f"{address}/24", "dev", end)
            _ip("-n", namespace, "link", "set", end, "up")
        with _forwarding(cable.near, ports):
            yield cable
    finally:
        for namespace in (cable.near, cable.far):
            with suppress(subprocess.CalledProcessError):
                _ip("netns", "del", namespace)


@contextmanager
def _forwarding(namespace: str, ports: Iterable[int]) -> Iterator[None]:
    command = [sys.executable, "-m", "tests.chaos.forwarder", namespace, GATEWAY, *map(str, ports)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as forwarder:
        try:
            assert forwarder.stdout is not None
            assert forwarder.stdout.readline() == b"ready\n"
            yield
        finally:
            forwarder.kill()


def _ip(*arguments: str) -> None:
    subprocess.run(("ip", *arguments), check=True, capture_output=True)
