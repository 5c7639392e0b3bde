"""What stands between a farm and its servers does them the harm that it is told to, and otherwise none."""

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pymysql
import pytest
import urllib3

from tests.chaos.proxy import Proxy, running_proxy
from tests.nodes import CLOCK, until

KEY = "/bucket/blobs/" + "a" * 64


@pytest.fixture
def database(mysql_url: str) -> Iterator[tuple[Proxy, str]]:
    with running_proxy("database_proxy", urlsplit(mysql_url).port or 3306) as proxy:
        yield proxy, urlsplit(mysql_url).path.removeprefix("/")


def connected(port: int, name: str) -> Any:
    return pymysql.connect(host="127.0.0.1", port=port, user="root", database=name, read_timeout=20)


def rows(port: int, name: str) -> int:
    with connected(port, name) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM note")
        return int(cursor.fetchone()[0])


@pytest.mark.services
@pytest.mark.parametrize("late_s", [0.0, 1.5])
def test_a_commit_goes_through_and_nobody_hears_of_it(
    database: tuple[Proxy, str], mysql_url: str, late_s: float
) -> None:
    (proxy, name), server = database, urlsplit(mysql_url).port or 3306
    with connected(proxy.port, name) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE note (id INTEGER)")
    connection = connected(proxy.port, name)
    connection.cursor().execute("INSERT INTO note VALUES (1)")
    proxy.order(severs=1, late_s=late_s)
    began = CLOCK.monotonic()
    with pytest.raises(pymysql.err.OperationalError):
        connection.commit()
    seen, looked_s = rows(server, name), CLOCK.monotonic() - began
    assert seen == 0 or looked_s >= late_s
    until(lambda: rows(server, name) == 1, 20, what="what was committed")
    assert proxy.order()["severed"] == 1
    assert rows(proxy.port, name) == 1  # another connection has no harm


@pytest.mark.services
def test_the_database_has_the_time_that_it_is_given(database: tuple[Proxy, str]) -> None:
    proxy, name = database

    def time() -> datetime:
        with connected(proxy.port, name) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT UTC_TIMESTAMP(6)")
            asked: datetime = cursor.fetchone()[0]
            return asked

    before = time()
    proxy.order(skew_s=-7200)
    assert timedelta(hours=1) < before - time() < timedelta(hours=3)


@pytest.fixture
def store() -> Iterator[Proxy]:
    class Stored(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer(b"stored")

        def do_PUT(self) -> None:
            self._answer(self.rfile.read(int(self.headers["content-length"])))

        do_DELETE = do_GET

        def log_message(self, *_words: Any) -> None:
            pass

        def _answer(self, content: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    with ThreadingHTTPServer(("127.0.0.1", 0), Stored) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        with running_proxy("store_proxy", server.server_address[1]) as proxy:
            yield proxy
        server.shutdown()


@pytest.mark.slow
def test_a_store_gives_wrong_bytes_is_full_and_slow_when_it_is_told_to(store: Proxy) -> None:
    url = f"http://127.0.0.1:{store.port}"
    with urllib3.PoolManager(retries=False) as http:
        assert http.request("GET", url + KEY).data == b"stored"
        assert http.request("PUT", url + KEY, body=b"fresh").data == b"fresh"
        store.order(wrong=True, full=True, delete_s=1.0)
        assert http.request("GET", url + KEY).data == b"rtored"
        assert http.request("GET", url + "/bucket/logs/1").data == b"stored"
        full = http.request("PUT", url + KEY, body=b"fresh")
        assert (full.status, b"InsufficientStorage" in full.data) == (507, True)
        began = CLOCK.monotonic()
        assert http.request("DELETE", url + KEY).status == 200
        assert CLOCK.monotonic() - began >= 1.0
        assert store.order(wrong=False, full=False, delete_s=0.0) == {
            "wrong blobs": 1,
            "refused as full": 1,
            "slow deletes": 1,
        }
        assert http.request("GET", url + KEY).data == b"stored"
