"""Ceph's RADOS Gateway as the S3 server, with the smallest cluster that there can be behind it."""

import subprocess
import urllib.request
import uuid

from tests.services.server import Server, ServerFailed, free_port

ACCESS_KEY, SECRET_KEY = "testkey", "testsecret"

_CONFIG = """\
[global]
fsid = {cluster}
mon host = v1:127.0.0.1:{monitor_port}
mon initial members = a
paxos propose interval = 0.05
paxos min wait = 0.01
bluestore fsck on mkfs = false
auth cluster required = none
auth service required = none
auth client required = none
auth allow insecure global id reclaim = true
mon warn on insecure global id reclaim = false
mon allow pool size one = true
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
osd objectstore = bluestore
bluestore block size = 10737418240
bluestore block create = true
osd memory target = 1073741824
mon data = {folder}/mon
osd data = {folder}/osd
run dir = {folder}/run
log file = {folder}/logs/$name.log
admin socket = {folder}/run/$name.asok
pid file = {folder}/run/$name.pid
public addr = 127.0.0.1
cluster addr = 127.0.0.1
[client.rgw.a]
rgw frontends = beast endpoint=127.0.0.1:{port} tcp_nodelay=1
rgw dns name = 127.0.0.1
"""


class RadosGateway(Server):
    name = "rados"
    variable = "RENDERCTL_TEST_S3_URL"
    programs = ("ceph-mon", "ceph-osd", "radosgw", "radosgw-admin", "monmaptool", "ceph")
    in_memory = True

    @property
    def url(self) -> str:
        return f"http://{ACCESS_KEY}:{SECRET_KEY}@127.0.0.1:{self.port}"

    def prepare(self) -> None:
        self._cluster, self._monitor_port = str(uuid.uuid4()), free_port()
        for each in ("mon", "osd", "run", "logs"):
            (self.folder / each).mkdir()
        config = _CONFIG.format(
            cluster=self._cluster, monitor_port=self._monitor_port, folder=self.folder, port=self.port
        )
        (self.folder / "ceph.conf").write_text(config)
        self._make_monitor()
        self._launch_monitor()
        device = str(uuid.uuid4())
        self.wait_until(lambda: self._ask("osd", "new", device), "a monitor that takes a disk")
        self._do("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", device)
        self._launch_disk()
        self._do(
            "radosgw-admin",
            "user",
            "create",
            "--uid=test",
            "--display-name=test",
            f"--access-key={ACCESS_KEY}",
            f"--secret-key={SECRET_KEY}",
        )

    def launch(self) -> None:
        if not self._children:  # they run already at the first start
            self._launch_monitor()
            self._launch_disk()
        self._spawn("radosgw", "-f", "-n", "client.rgw.a")

    def answers(self) -> bool:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=2) as answer:
            return bool(answer.status == 200)

    def kill_gateway(self) -> None:
        """Kill -9 of what clients talk to; the cluster behind it stays, and `start` brings the gateway back."""
        self.end(self._children[-1])

    def _make_monitor(self) -> None:
        address = f"v1:127.0.0.1:{self._monitor_port}"
        self.run("monmaptool", "--create", "--addv", "a", f"[{address}]", "--fsid", self._cluster, "monmap")
        self._do("ceph-mon", "--mkfs", "-i", "a", "--monmap", "monmap")

    def _launch_monitor(self) -> None:
        self._spawn("ceph-mon", "-f", "-i", "a")
        self.wait_until(lambda: self._ask("mon", "stat"), "a monitor")

    def _ask(self, *words: str) -> bool:
        """Whether the monitor did it: for a moment, now and then, it lets nobody in."""
        return bool(self._do("ceph", *words))

    def _launch_disk(self) -> None:
        """The first start may end with 'wrong fsid', the next one works; the monitor may still believe in the last."""
        disk = self._spawn("ceph-osd", "-f", "-i", "0")
        for _ in range(6):
            try:
                self.wait_until(self._disk_is_active, "a disk")
            except ServerFailed:
                if disk.poll() is None:
                    raise
                self.end(disk)
                disk = self._spawn("ceph-osd", "-f", "-i", "0")
            else:
                return
        raise ServerFailed("The disk does not start.")

    def _disk_is_active(self) -> bool:
        return '"active"' in self._do("ceph", "--admin-daemon", str(self.folder / "run/osd.0.asok"), "status")

    def _spawn(self, program: str, *words: str) -> "subprocess.Popen[bytes]":
        return self.spawn(program, "-c", str(self.folder / "ceph.conf"), *words)

    def _do(self, program: str, *words: str) -> str:
        return self.run(program, "-c", str(self.folder / "ceph.conf"), *words)
