"""MariaDB, as a stand-in for MySQL: root without a password, on loopback only."""

import getpass
from pathlib import Path

import pymysql

from tests.services.server import Server


class MariaDb(Server):
    name = "mariadb"
    variable = "RENDERCTL_TEST_MYSQL_URL"
    programs = ("mariadbd", "mariadb-install-db")
    in_memory = True

    def __init__(self, *options: str) -> None:
        super().__init__()
        self._options = options

    @property
    def _temporary(self) -> Path:
        """A server that starts removes the temporary tables that it finds, those of a living one too."""
        return self.folder / "temporary"

    @property
    def url(self) -> str:
        return f"mysql+pymysql://root@127.0.0.1:{self.port}/"

    def prepare(self) -> None:
        self._temporary.mkdir()
        self.run(
            "mariadb-install-db",
            "--no-defaults",
            f"--datadir={self.folder / 'files'}",
            f"--tmpdir={self._temporary}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            f"--user={getpass.getuser()}",
        )

    def launch(self) -> None:
        self.spawn(
            "mariadbd",
            "--no-defaults",
            f"--user={getpass.getuser()}",
            f"--datadir={self.folder / 'files'}",
            f"--tmpdir={self._temporary}",
            f"--socket={self.folder / 'socket'}",
            f"--pid-file={self.folder / 'pid'}",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            "--max-connections=600",
            *self._options,
        )

    def answers(self) -> bool:
        pymysql.connect(host="127.0.0.1", port=self.port, user="root", connect_timeout=2, read_timeout=2).close()
        return True
