"""What a hostile server answers fills no memory, ends no client as nobody expects, and sends no files away."""

import gzip
import hashlib
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from renderctl.client.addresses import is_unencrypted, store_address
from renderctl.client.login import Credentials, log_in
from renderctl.client.sse import events
from renderctl.client.uploads import upload_files as send_files
from renderctl.core.errors import BadAnswer, RenderctlError, ServerUnavailable
from renderctl.core.jobs import Input
from renderctl.wiring.remote_commands import RemoteCommands
from tests.hostile.server.evil import EvilServer, endless, evil_server


def test_a_document_without_an_end_fills_no_memory(victim: RemoteCommands, evil: EvilServer) -> None:
    evil.answers["GET /api/v1/whoami"] = endless(b" " * 65536)
    tracemalloc.start()
    with pytest.raises(BadAnswer, match="larger than"):
        victim.whoami()
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
    tracemalloc.stop()


def test_neither_does_an_error_without_an_end(victim: RemoteCommands, evil: EvilServer) -> None:
    evil.sends("GET /api/v1/whoami", b" " * 200_000, 500)
    with pytest.raises(BadAnswer, match="larger than"):
        victim.whoami()


def test_what_unfolds_is_not_unfolded(victim: RemoteCommands, evil: EvilServer) -> None:
    bomb = gzip.compress(b'"' + b" " * 20_000_000 + b'"')
    evil.sends("GET /api/v1/whoami", bomb, Content_Encoding="gzip")
    tracemalloc.start()
    with pytest.raises(ServerUnavailable):
        victim.whoami()
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


def test_an_event_without_an_end_fills_no_memory(victim: RemoteCommands, evil: EvilServer) -> None:
    evil.answers["GET /api/v1/events"] = endless(b"data: " + b"x" * 65530)
    with pytest.raises(BadAnswer, match="a line of more than"):
        next(events(victim.server.api, "/events", {}, victim.server.local_farm.clock, None))


def test_events_are_still_read_line_by_line(victim: RemoteCommands, evil: EvilServer) -> None:
    evil.sends("GET /api/v1/events", b'event: job\ndata: {"a": 1}\n\nevent: \xff\ndata: ' + b"[" * 90_000 + b"\n\n")
    told = events(victim.server.api, "/events", {}, victim.server.local_farm.clock, None)
    assert next(told) == ("job", {"a": 1})
    with pytest.raises(BadAnswer, match="too deep"):
        next(told)


@pytest.mark.parametrize("content", [b"[" * 90_000, b'{"name": ' + b"1" * 9_000 + b"}", b"[]", b"7", b'{"name": 7}'])
def test_a_document_that_is_none_is_no_surprise(victim: RemoteCommands, evil: EvilServer, content: bytes) -> None:
    evil.sends("GET /api/v1/whoami", content)
    with pytest.raises((BadAnswer, ServerUnavailable)):
        victim.whoami()


@pytest.mark.parametrize(
    "error",
    [
        {"code": "builder_missing", "message": "x"},
        {"code": "outside_files", "message": ["x"], "hint": {"a": 1}},
        {"code": ["x"], "message": None},
        {"code": "not_found", "message": "x" * 50_000},
    ],
)
def test_an_error_of_a_server_is_a_short_sentence(victim: RemoteCommands, evil: EvilServer, error: Any) -> None:
    evil.says("GET /api/v1/whoami", {"error": error}, 400)
    with pytest.raises(RenderctlError) as raised:
        victim.whoami()
    assert len(raised.value.message) <= 4000
    assert raised.value.hint is None or isinstance(raised.value.hint, str)


@pytest.mark.parametrize("secret", ["a\r\nX-Evil: 1", "", " ", 7, None, "x" * 501, "\u00fc"])
def test_a_token_that_can_be_no_header_is_not_kept(evil: EvilServer, tmp_path: Path, secret: Any) -> None:
    evil.says("POST /api/v1/tokens/by-password", {"secret": secret}, 201)
    with pytest.raises(BadAnswer):
        log_in(tmp_path / "login.json", evil.url, Credentials(user="ada", password="0123456789"))
    assert not (tmp_path / "login.json").exists()


@pytest.fixture
def file(tmp_path: Path) -> dict[Path, Input]:
    path = tmp_path / "scene.blend"
    path.write_bytes(b"BLENDER" * 10)
    return {path: Input("scene.blend", hashlib.sha256(path.read_bytes()).hexdigest(), 70)}


def test_files_that_were_not_offered_are_not_sent(victim: RemoteCommands, evil: EvilServer, file: Any) -> None:
    evil.says("POST /api/v1/uploads/wanted", [{"digest": "0" * 64, "url": None}])
    with pytest.raises(BadAnswer):
        send_files(victim.server, file)


@pytest.mark.parametrize("received", [-1, 71, "7", None, 1.5, True, 0])
def test_a_server_that_says_nonsense_of_a_file_is_not_sent_it_again_and_again(
    victim: RemoteCommands, evil: EvilServer, file: Any, received: Any
) -> None:
    (each,) = file.values()
    evil.says("POST /api/v1/uploads/wanted", [{"digest": each.digest, "url": None}])
    evil.says(f"PUT /api/v1/uploads/{each.digest}", {"received": received, "complete": False})
    with pytest.raises(BadAnswer):
        send_files(victim.server, file)
    assert len(evil.asked(f"PUT /api/v1/uploads/{each.digest}")) == 1


def test_a_file_goes_to_the_store_without_a_token(victim: RemoteCommands, evil: EvilServer, file: Any) -> None:
    (each,) = file.values()
    with evil_server() as other:
        other.sends("PUT /incoming/1", b"")
        evil.says("POST /api/v1/uploads/wanted", [{"digest": each.digest, "url": f"{other.url}/incoming/1"}])
        evil.says(f"POST /api/v1/uploads/{each.digest}/promote", {})
        send_files(victim.server, file)
        assert "Authorization" not in other.requests[0].headers


FAR = "https://farm.example.org"


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("file:///etc/passwd", FAR),
        ("ftp://s3.example.org/x", FAR),
        ("gopher://s3.example.org/x", FAR),
        ("//s3.example.org/x", FAR),
        ("/x", FAR),
        ("", FAR),
        (None, FAR),
        ("https://s3.example.org/\r\nX: 1", FAR),
        ("https://user:password@s3.example.org/x", FAR),
        ("https://s3.example.org:99999/x", FAR),
        ("http://s3.example.org/x", FAR),  # less safe than the server's own
        ("https://127.0.0.1:2376/containers/create", FAR),
        ("https://127.1/x", FAR),
        ("https://2130706433/x", FAR),
        ("https://localhost:9200/index", FAR),
        ("https://[::1]/x", FAR),
        ("https://[::ffff:127.0.0.1]/x", FAR),
        ("https://0.0.0.0/x", FAR),
        ("https://169.254.169.254/latest/user-data", FAR),
        ("https://good.example.org\\@127.0.0.1/x", FAR),
        ("http://127.0.0.1:631/x", "http://farm.example.org:8650"),
        ("https://s3.example.org/" + "x" * 9000, FAR),
        ("https://10.1.2.3/admin", "https://198.41.0.4"),  # a private service, named by a server that is further away
        ("https://192.168.0.1/x", "https://198.41.0.4"),
        ("https://[fd00::1]/x", "https://198.41.0.4"),
        ("http://127.0.0.1:631/x", "http://10.1.2.4:8650"),
    ],
)
def test_an_address_of_a_store_is_one(url: Any, server: str) -> None:
    with pytest.raises(BadAnswer):
        store_address(url, server)


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("https://198.41.0.4/bucket/x?X-Amz-Signature=1", FAR),
        ("https://10.1.2.3:9000/x", "https://10.1.2.4"),
        ("http://10.1.2.3:9000/x", "http://10.1.2.4:8650"),
        ("http://127.0.0.1:9000/x", "http://127.0.0.1:8650"),
        ("http://127.0.0.1:9000/x", "http://localhost:8650"),
    ],
)
def test_the_addresses_that_a_farm_has_are_asked(url: str, server: str) -> None:
    assert store_address(url, server) == url


def test_where_an_address_can_be_none_the_file_goes_by_way_of_the_server(
    victim: RemoteCommands, evil: EvilServer, file: Any
) -> None:
    (each,) = file.values()
    evil.says("POST /api/v1/uploads/wanted", [{"digest": each.digest, "url": "file:///tmp/evil"}])
    evil.says(f"PUT /api/v1/uploads/{each.digest}", {"received": 70, "complete": True})
    send_files(victim.server, file)
    assert evil.asked(f"PUT /api/v1/uploads/{each.digest}")[0].body == b"BLENDER" * 10


@pytest.mark.parametrize(
    ("url", "clear"),
    [
        ("http://farm.example.org", True),
        ("http://10.0.0.7:8650", True),
        ("http://127.0.0.1.example.org", True),
        ("http://localhost.example.org", True),
        ("https://farm.example.org", False),
        ("http://127.0.0.1:8650", False),
        ("http://127.9.9.9", False),
        ("http://[::1]:8650", False),
        ("http://localhost:8650", False),
    ],
)
def test_which_servers_are_asked_in_the_clear(url: str, clear: bool) -> None:
    assert is_unencrypted(url) is clear
