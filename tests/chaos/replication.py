"""Two MariaDB servers, of which the second takes over when the first one is gone.

A transaction is committed once the second one has it (semi-synchronous, AFTER_SYNC), so that no answer is given that a
fail-over takes back.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pymysql

from tests.nodes import until
from tests.services import MariaDb

_COMMON = ("--log-bin=binlog", "--log-slave-updates", "--binlog-format=ROW", "--slave-net-timeout=5")
_FIRST = (
    "--server-id=1",
    "--rpl-semi-sync-master-enabled=ON",
    "--rpl-semi-sync-master-timeout=600000",
    "--rpl-semi-sync-master-wait-point=AFTER_SYNC",
)
_SECOND = ("--server-id=2", "--rpl-semi-sync-slave-enabled=ON", "--relay-log=relay", "--read-only=ON")


@contextmanager
def running_pair() -> Iterator[tuple[MariaDb, MariaDb]]:
    """The first and the second; gone after the context."""
    first, second = MariaDb(*_COMMON, *_FIRST), MariaDb(*_COMMON, *_SECOND)
    try:
        for server in (first, second):
            server.start()
        _ask(
            second,
            f"CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT={first.port}, MASTER_USER='root', "
            "MASTER_PASSWORD='', MASTER_USE_GTID=slave_pos, MASTER_CONNECT_RETRY=1",
        )
        _ask(second, "START SLAVE")
        until(lambda: _state(second)["Slave_IO_Running"] == "Yes", 30, what="a replica that follows")
        yield first, second
    finally:
        for server in (first, second):
            server.discard()


def promote(second: MariaDb) -> None:
    """The first one is gone: the second has all of it that anybody was told of, and takes changes from now on."""
    _ask(second, "STOP SLAVE IO_THREAD")
    until(lambda: "read all relay log" in str(_state(second)["Slave_SQL_Running_State"]), 60, what="all that was sent")
    for statement in ("STOP SLAVE", "RESET SLAVE ALL", "SET GLOBAL read_only = OFF"):
        _ask(second, statement)


def _ask(server: MariaDb, statement: str) -> Any:
    with pymysql.connect(
        host="127.0.0.1", port=server.port, user="root", autocommit=True, cursorclass=pymysql.cursors.DictCursor
    ) as connection:
        cursor = connection.cursor()
        cursor.execute(statement)
        return cursor.fetchone()


def _state(server: MariaDb) -> Any:
    return _ask(server, "SHOW SLAVE STATUS")
