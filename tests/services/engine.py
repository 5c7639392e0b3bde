"""A Docker engine that shares nothing with another one, in namespaces of processes and mounts of its own.

When the first process of these is gone the kernel ends all others: no container outlives the engine, however it ends.
"""

import fcntl
import json
import os
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

import docker
import psutil

from tests.services.baseimage import CACHE, load_base
from tests.services.server import Server, ServerFailed

#: Mounts that a test makes later are seen inside; what the engine mounts is not seen outside.
_NAMESPACES = ("--pid", "--fork", "--kill-child", "--mount", "--propagation", "slave", "--mount-proc")
_FIRST = ("docker-init", "-s", "--", "sleep", "infinity")
#: Without a bridge and rules for packets, engines do not meet; `--network host` reaches what the machine reaches.
_ALONE = ("--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-masq=false")

#: What builds have left is kept up to a size.
_SETTINGS = {"builder": {"gc": {"enabled": True, "defaultKeepStorage": "6GB"}}}


class DockerEngine(Server):
    """Its images outlast it: the next engine of this user that finds them free takes them over."""

    name = "docker"
    variable = "RENDERCTL_TEST_DOCKER_HOST"
    programs = ("dockerd", "docker-init", "containerd", "runc", "unshare", "nsenter", "debootstrap")

    def __init__(self) -> None:
        super().__init__()
        self._init: subprocess.Popen[bytes] | None = None
        self._daemon: subprocess.Popen[bytes] | None = None
        self._lock_file: int | None = None

    @property
    def url(self) -> str:
        return f"unix://{self.folder / 'docker.sock'}"

    @classmethod
    def missing(cls) -> str | None:
        if os.geteuid() != 0:
            return f"A Docker engine of our own needs an administrator; or set {cls.variable}"
        return super().missing()

    def prepare(self) -> None:
        self._images = self._take_images()
        (self.folder / "daemon.json").write_text(json.dumps(_SETTINGS))

    def start(self) -> None:
        first = not self._prepared
        super().start()
        if first:
            self._remove_what_is_left()
            load_base(self.url, self.run)

    def launch(self) -> None:
        if self._init is None or self._init.poll() is not None:
            assert self._lock_file is not None
            self._init = self.spawn("unshare", *_NAMESPACES, *_FIRST, kept=(self._lock_file,))
            self.wait_until(lambda: bool(self._inside(self._init)), "namespaces")
        (first,) = self._inside(self._init)
        enter = ("nsenter", "--target", str(first.pid), "--pid", "--mount")
        self._daemon = self.spawn(*enter, "dockerd", *self._options())

    def answers(self) -> bool:
        """Asked without the client, which leaves sockets open when nobody listens."""
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            client.connect(str(self.folder / "docker.sock"))
            client.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            return b" 200 OK" in client.recv(4096)

    def kill_daemon(self) -> None:
        """Kill -9 of what clients talk to: containers live on, and `start` brings it back, which ends them."""
        assert self._daemon is not None
        (daemon,) = self._inside(self._daemon)
        processes = [daemon, *daemon.children()]  # containerd dies with it
        daemon.kill()
        psutil.wait_procs(processes, timeout=10)
        self.end(self._daemon)

    def restart_daemon(self) -> None:
        """Stop in good order what clients talk to, which ends the containers, and start it again."""
        assert self._daemon is not None
        self.ask_to_end(self._daemon)
        self._daemon.wait(60)
        self.end(self._daemon)
        self.start()

    def hide(self, folder: Path) -> None:
        """Let the engine see an empty disk in place of a folder, as one on another machine does."""
        (first,) = self._inside(self._init)
        enter = ("nsenter", "--target", str(first.pid), "--mount")
        self.run(*enter, "mount", "-t", "tmpfs", "elsewhere", str(folder))

    def discard(self) -> None:
        super().discard()
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None

    def ask_to_end(self, child: "subprocess.Popen[bytes]") -> None:
        """What entered or made the namespaces does not pass signals on."""
        for process in self._inside(child):
            with suppress(psutil.NoSuchProcess):
                process.terminate()

    def _remove_what_is_left(self) -> None:
        """The containers of whoever had the images before, and images that newer ones have replaced."""
        client = docker.DockerClient(self.url)
        try:
            for container in client.containers.list(all=True):
                container.remove(force=True)
            client.images.prune()
        finally:
            client.close()

    def _options(self) -> tuple[str, ...]:
        for left in ("docker.pid", "exec/containerd/containerd.pid"):  # numbers that are others' by now
            (self.folder / left).unlink(missing_ok=True)
        return (
            f"--data-root={self._images}",
            f"--exec-root={self.folder / 'exec'}",
            f"--host={self.url}",
            f"--pidfile={self.folder / 'docker.pid'}",
            f"--config-file={self.folder / 'daemon.json'}",
            *_ALONE,
        )

    def _inside(self, child: "subprocess.Popen[bytes] | None") -> list[psutil.Process]:
        if child is None:
            return []
        with suppress(psutil.NoSuchProcess):
            return psutil.Process(child.pid).children()
        return []

    def _take_images(self) -> Path:
        """The first folder of images that no engine has; it is ours as long as a process of the namespaces lives."""
        CACHE.mkdir(parents=True, exist_ok=True)
        for number in range(100):
            self._lock_file = os.open(CACHE / f"engine-{number}.lock", os.O_RDWR | os.O_CREAT)
            with suppress(BlockingIOError):
                fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return CACHE / f"engine-{number}"
            os.close(self._lock_file)
        raise ServerFailed(f"A hundred engines have all folders of images below {CACHE}.")
