"""Whoever passes by holds connections open, sends a byte at a time, and never reads: the others do not notice."""

import asyncio
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from typing import Any

import httpx2
import pytest
import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from renderctl.core.actors import Role
from renderctl.core.settings.groups import ServeSettings
from renderctl.farm import Farm
from renderctl.server.connection_limits import ConnectionMiddleware, ConnectionRegistry, address_key
from renderctl.server.runner import server_config
from tests.farms import wait_for
from tests.hostile.passerby.sockets import Client, clients, get, status
from tests.server.conftest import Served
from tests.server.live import listening

pytestmark = pytest.mark.slow
#: Seconds: short, so that the tests are; and how much later than that may still count as then.
SHORT_S, LATER_S = 1.0, 6.0
API = "/api/v1"


Connect = Callable[[str], Client]


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Makes connections, which are closed after the test."""
    with ExitStack() as stack:
        yield lambda url: stack.enter_context(closing(Client(url)))


def limited(farm: Farm, **limits: Any) -> Farm:
    """The farm with a server that has such limits."""
    timeouts = {"header_timeout": SHORT_S, "body_timeout": SHORT_S, "send_timeout": SHORT_S}
    settings = farm.settings
    return replace(farm, settings=replace(settings, serve=replace(settings.serve, **(timeouts | limits))))


@pytest.fixture
def url(farm: Farm) -> Iterator[str]:
    with listening(limited(farm)) as url:
        yield url


@pytest.mark.parametrize(
    "said",
    [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: farm.test\r\nX: ", b"POST /login HTTP/1.1\r\nContent-Length: 5\r\n"],
)
def test_a_connection_that_asks_for_nothing_is_cut_off(connect: Connect, url: str, said: bytes) -> None:
    client = connect(url)
    client.send(said)
    assert client.is_closed_within(SHORT_S + LATER_S)


def test_headers_that_come_byte_by_byte_are_cut_off(connect: Connect, url: str) -> None:
    assert (
        connect(url).drip(b"GET / HTTP/1.1\r\nX-Slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
        < SHORT_S + LATER_S
    )


def test_a_second_request_that_comes_byte_by_byte_is_cut_off_too(connect: Connect, url: str) -> None:
    client = connect(url)
    client.send(get("/healthz"))
    assert status(client.answer()) == 200
    assert client.drip(b"GET /healthz HTTP/1.1\r\nX: aaaaaaaaaaaaaaaaaaaaaaaaaa") < SHORT_S + LATER_S


def test_a_body_that_comes_byte_by_byte_is_answered_with_408(connect: Connect, url: str) -> None:
    client = connect(url)
    client.send(b"POST /login HTTP/1.1\r\nHost: farm.test\r\nContent-Length: 60000\r\n\r\n")
    assert client.drip(b"a") < SHORT_S + LATER_S
    answer = client.answer()
    assert status(answer) == 408
    assert b"connection: close" in answer.lower()


def test_a_file_that_comes_byte_by_byte_is_cut_off_and_one_that_comes_slowly_is_not(
    connect: Connect, served: Served
) -> None:
    eve = served.person("eve", Role.ARTIST, "film")
    content = bytes(range(256)) * 64
    path = f"{API}/uploads/{hashlib.sha256(content).hexdigest()}?size={len(content)}"
    with listening(limited(served.farm)) as url:
        client = connect(url)
        head = f"PUT {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {eve['Authorization']}\r\n"
        client.send(f"{head}Content-Length: {len(content)}\r\n\r\n".encode())
        assert client.drip(content) < SHORT_S + LATER_S
        assert status(client.answer()) == 408

        def slowly() -> Iterator[bytes]:
            for begin in range(0, len(content), 1024):
                time.sleep(3 * SHORT_S / 16)  # three times as long as a body may be waited for
                yield content[begin : begin + 1024]

        done = httpx2.put(f"{url}{path}", content=slowly(), headers=eve, timeout=30)
        assert done.json() == {"received": len(content), "complete": True}


@pytest.mark.parametrize("piece", [b"x" * (1 << 16), b"X: y\r\n" * 10_000], ids=["one", "many"])
def test_headers_without_end_are_cut_off(connect: Connect, url: str, piece: bytes) -> None:
    client, sent = connect(url), 0
    client.send(b"GET /healthz HTTP/1.1\r\nX: ")
    while client.send(piece) and sent < 64 << 20:
        sent += len(piece)
    assert sent < 16 << 20  # what the sockets between us hold
    assert httpx2.get(f"{url}/healthz").status_code == 200


@pytest.mark.parametrize("cookie", ["a;" * 50_000, "a" * 40_000])
def test_a_header_that_takes_long_to_read_is_refused(connect: Connect, url: str, cookie: str) -> None:
    client = connect(url)
    client.send(get("/account", Cookie=cookie))
    assert status(client.answer()) == 400


def test_requests_that_are_heaped_up_on_a_connection_are_cut_off(connect: Connect, url: str) -> None:
    client = connect(url)
    client.send(get("/healthz") * 5000)
    assert client.is_closed_within(LATER_S)


def test_a_few_requests_at_once_on_a_connection_are_answered(connect: Connect, url: str) -> None:
    client = connect(url)
    client.send(get("/healthz") * 7 + get("/healthz", Connection="close"))
    assert client.all().count(b"HTTP/1.1 200") == 8


def test_one_address_has_so_many_connections_and_is_told_so(connect: Connect, farm: Farm) -> None:
    with listening(limited(farm, connections_per_address=6, header_timeout=30.0)) as url:
        with clients(url, 6) as held:
            for client in held:
                client.send(get("/healthz"))
                assert status(client.answer()) == 200
            more = connect(url)
            more.send(get("/healthz"))
            answer = more.answer()
            assert status(answer) == 503
            assert b"retry-after: 5" in answer.lower()
            assert b'"code":"overloaded"' in answer
            with clients(url, 40) as flood:  # these do not even ask
                assert all(client.is_closed_within(LATER_S) for client in flood)
        give_up = time.monotonic() + LATER_S
        while httpx2.get(f"{url}/healthz").status_code != 200:
            assert time.monotonic() < give_up


def test_there_are_so_many_connections_in_all(connect: Connect, farm: Farm) -> None:
    with listening(limited(farm, connections=5, header_timeout=30.0)) as url, clients(url, 5) as held:
        for client in held:
            client.send(get("/healthz"))
            assert status(client.answer()) == 200
        more = connect(url)
        more.send(get("/healthz"))
        assert status(more.answer()) == 503


def test_behind_a_proxy_requests_count_for_whom_the_proxy_names(farm: Farm) -> None:
    with listening(limited(farm, connections_per_address=3, body_timeout=30.0, proxies=("127.0.0.1",))) as url:
        begun = b"POST /login HTTP/1.1\r\nHost: farm.test\r\nX-Forwarded-For: %b\r\nContent-Length: 9\r\n\r\n"
        with clients(url, 3) as held:
            for client in held:
                client.send(begun % b"203.0.113.7")
            give_up = time.monotonic() + LATER_S
            while httpx2.get(f"{url}/healthz", headers={"X-Forwarded-For": "203.0.113.7"}).status_code != 503:
                assert time.monotonic() < give_up
            for other in ("203.0.113.8", "2001:db8::1"):
                assert httpx2.get(f"{url}/healthz", headers={"X-Forwarded-For": other}).status_code == 200
        while httpx2.get(f"{url}/healthz", headers={"X-Forwarded-For": "203.0.113.7"}).status_code != 200:
            assert time.monotonic() < give_up


def test_an_address_of_ipv6_is_as_good_as_its_network() -> None:
    assert address_key("2001:db8:1:2:3::4") == address_key("2001:db8:1:2:ffff::1") != address_key("2001:db8:1:3::4")
    assert address_key("::ffff:192.0.2.1") == address_key("192.0.2.1") != address_key("192.0.2.2")


async def _endless(_scope: Scope, _receive: Receive, send: Send) -> None:
    """An application that has much to say."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(4096):
        await send({"type": "http.response.body", "body": bytes(1 << 16), "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _stuck(scope: Scope, _receive: Receive, _send: Send) -> None:
    """An application that waits for what does not come."""
    assert scope["type"] == "http"
    await asyncio.Event().wait()


@contextmanager
def talking(serve: ServeSettings, application: ASGIApp = _endless) -> Iterator[tuple[str, ConnectionRegistry]]:
    config = server_config(ConnectionMiddleware(application), serve, "127.0.0.1", 0, shutdown_s=1)
    server = uvicorn.Server(config)
    with config.bind_socket() as socket:
        socket.listen()
        thread = threading.Thread(target=server.run, kwargs={"sockets": [socket]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{socket.getsockname()[1]}", config.connections
        finally:
            server.should_exit = True
            thread.join(30)


def test_whoever_does_not_read_the_answer_is_left(connect: Connect, farm: Farm) -> None:
    with talking(limited(farm).settings.serve) as (url, connections):
        client = connect(url)
        client.send(get("/"))
        give_up = time.monotonic() + SHORT_S + LATER_S
        wait_for(farm, lambda: connections._open)
        wait_for(farm, lambda: not connections._open)  # nobody reads meanwhile
        assert time.monotonic() < give_up
        assert len(client.all()) < 4096 << 16


def test_who_still_waits_when_a_server_leaves_is_answered(
    connect: Connect, farm: Farm, caplog: pytest.LogCaptureFixture
) -> None:
    with talking(farm.settings.serve, _stuck) as (url, connections):
        client = connect(url)
        client.send(get("/"))
        wait_for(farm, lambda: connections._open)
    answer = client.all()
    assert status(answer) == 503
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "overloaded"
    assert not [record for record in caplog.records if record.exc_info]
