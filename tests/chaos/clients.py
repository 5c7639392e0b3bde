"""A server of the farm, and people who come through it: they follow jobs, upload, and come back when it does."""

import random
import signal
import threading
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from renderctl.client.connection import ServerConnection
from renderctl.client.http import HttpClient
from renderctl.client.uploads import upload_files
from renderctl.core.actors import Role, Scope, local_actor
from renderctl.core.errors import (
    GaveUpWaiting,
    Interrupted,
    JobCanceled,
    JobFailed,
    NotFound,
    RenderctlError,
    Unreachable,
)
from renderctl.core.ids import new_id
from renderctl.core.jobs import Input
from renderctl.core.people import Token
from renderctl.core.settings import ServerSettings, Settings
from renderctl.farm import Farm
from renderctl.farm.models.file_hashes import hash_file
from renderctl.farm.people.secrets import token_digest
from renderctl.wiring import LocalCommands
from renderctl.wiring.remote_commands import RemoteCommands
from tests.chaos.rounds import Harm
from tests.nodes import CLOCK, Node, Site, until
from tests.services.server import free_port

_ACTOR, _PERSON = local_actor("chaos"), "ada"
#: Bytes of a file that is sent.
_FILE = 600_000
#: How one may end who follows a job: with it, or since it was removed, or because the round is over.
_FOLLOWED = (0, JobFailed.exit_code, JobCanceled.exit_code, NotFound.exit_code, Interrupted.exit_code)


@dataclass
class Clients:
    """The server, and all who come through it."""

    site: Site
    farm: Farm
    chance: random.Random
    counts: Counter[str] = field(default_factory=Counter)
    sent: set[str] = field(default_factory=set)  #: digests of files that were sent to their end
    _followers: list[Node] = field(default_factory=list)
    _errors: list[BaseException] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._port = free_port()
        self.farm.repository.users.add(_PERSON, Role.ADMIN, ("default",), password=None, actor=_ACTOR)
        token = Token(new_id(), _PERSON, "chaos", Scope.ALL, CLOCK.now(), None)
        secret = f"rctl_{token.id}{_PERSON}"
        self.farm.repository.tokens.add(token, token_digest(secret), lasts_s=None, actor=_ACTOR)
        self._login = ServerSettings(f"http://127.0.0.1:{self._port}", secret)
        self._laptop = Site(self.site.data / "laptop", self.site.logs / "laptop")
        self._laptop.services = {
            "RENDERCTL_SERVER__URL": self._login.url or "",
            "RENDERCTL_SERVER__TOKEN": secret,
        }
        self.serve()

    def serve(self) -> None:
        """Start the server, or start it again."""
        self.server = self.site.start("server", "serve", "--port", str(self._port))

    @property
    def is_serving(self) -> bool:
        return "Serving at" in self.server.log.read_text()

    def revive(self) -> None:
        """Start the server again that found the farm out of reach when it started; one that served stays."""
        code = self.server.process.poll()
        if code is not None:
            assert (code, self.is_serving) == (Unreachable.exit_code, False), self.server.log.read_text()
            self.serve()

    def _serves(self) -> bool:
        self.revive()
        return self.is_serving

    def connection(self) -> RemoteCommands:
        """The verbs, over the server."""
        settings = Settings(self._laptop.data, server=self._login)
        here = LocalCommands(settings, _ACTOR)
        return RemoteCommands(ServerConnection(HttpClient(self._login.url or "", self._login.token), here.farm), here)

    def begin(self, jobs: Sequence[str]) -> None:
        """Follow the jobs, and send files, two people the same one at the same time."""
        until(self._serves, 60, what="a server that serves")
        for job_id in jobs:
            self._followers.append(self._laptop.start("watch", "watch", job_id, "--json"))
            self._followers.append(self._laptop.start("logs", "logs", "-f", job_id))
        self._sender = threading.Thread(target=self._send_files, daemon=True)
        self._sender.start()

    def harms(self) -> Sequence[Harm]:
        def stop() -> None:
            self.server.process.terminate()
            code = self.server.wait(90)
            unready = () if self.is_serving else (-signal.SIGTERM, Interrupted.exit_code, Unreachable.exit_code)
            assert code in (0, *unready), self.server.log.read_text()

        return [
            Harm("server killed", "server", self.server.kill, self.serve, (0.0, 2.0)),
            Harm("server restarted", "server", stop, self.serve),
            Harm("server frozen", "server", self.server.freeze, self.server.thaw, (0.5, 4.0)),
        ]

    def end(self) -> None:
        """Everybody has what they came for: those who follow have ended with their jobs, files are in the store."""
        self._stop.set()
        self._sender.join(180)
        assert not self._sender.is_alive(), "a file is sent for ever"
        assert self._errors == [], self._errors
        for node in self._followers:
            self._end_follower(node)
        until(self._serves, 60, what="a server that serves")
        assert self.server.end(60) == 0, self.server.log.read_text()
        missing = self.farm.store.missing(self.sent)
        assert missing == set(), missing
        self.counts["files sent to their end"] += len(self.sent)
        for node in self._laptop.nodes:
            assert "Traceback" not in node.log.read_text(), node.log.read_text()[-5000:]

    def _end_follower(self, node: Node) -> None:
        code = node.process.poll()
        if code is None:
            node.process.terminate()
            code = node.wait(60)
            self.counts["who follow a job until they are told to stop"] += 1
        else:
            self.counts["who follow a job to its end"] += 1
        log = node.log.read_text()
        if (
            code == Unreachable.exit_code and node.name == "watch" and '"state"' not in log
        ):  # its first question met a server that was away
            self.counts["who did not reach the server when they began"] += 1
            return
        assert code in (*_FOLLOWED, GaveUpWaiting.exit_code), (code, log)

    def _send_files(self) -> None:
        with closing(self.connection()) as connection, ThreadPoolExecutor(2) as pool:
            number = 0
            while not self._stop.wait(1.0):
                number += 1
                path = self._laptop.data / f"{number}.bin"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(self.chance.randbytes(_FILE))
                for error in pool.map(lambda path: self._send(connection, path), (path, path)):
                    if error is not None:
                        self._errors.append(error)

    def _send(self, connection: RemoteCommands, path: Path) -> BaseException | None:
        """What a user would be puzzled by."""
        key = hash_file(path).digest
        try:
            upload_files(connection.server, {path: Input(path.name, key, path.stat().st_size)})
        except RenderctlError as error:
            self.counts[f"files not sent: {type(error).__name__}"] += 1
            return None
        except Exception as error:
            return error
        self.sent.add(key)
        return None
