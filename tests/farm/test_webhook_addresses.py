"""Where webhooks may lead: not into the farm's own network, unless an admin has named the place."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from renderctl.core.errors import InvalidInput, NotAllowed
from renderctl.core.settings import WebhookSettings
from renderctl.farm import Farm
from renderctl.farm.webhooks.http_post import post
from renderctl.farm.webhooks.receiver_address import receiver_of, resolved
from renderctl.farm.webhooks.registrations import add_webhook
from tests.farms import ACTOR, close, make_farm

INSIDE = [
    *("127.0.0.1", "127.1", "2130706433", "0x7f.1", "localhost", "0.0.0.0", "10.0.0.1", "192.168.1.1", "172.16.0.9"),
    *("169.254.169.254", "100.64.0.1", "224.0.0.1", "239.1.1.1", "255.255.255.255", "240.0.0.1", "192.0.2.1"),
    *("[::1]", "[::]", "[fe80::1]", "[fc00::1]", "[fd12:3456::1]", "[fec0::1]", "[ff02::1]", "[2001:db8::1]"),
    *("[::ffff:127.0.0.1]", "[::ffff:10.0.0.1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]"),
]


@pytest.fixture
def farm(tmp_path: Path) -> Iterator[Farm]:
    farm = make_farm(tmp_path)
    yield farm
    close(farm)


@pytest.mark.parametrize("host", INSIDE)
def test_who_is_inside_the_farms_own_network_is_not_told(farm: Farm, host: str) -> None:
    closed = replace(farm, settings=replace(farm.settings, webhooks=WebhookSettings()))
    url = f"http://{host}:9/hook"
    with pytest.raises(NotAllowed):
        add_webhook(closed, ACTOR, url, project="default")
    tried = post(url, b"{}", {}, WebhookSettings())
    assert (tried.error, tried.final) == ("The receiver is inside the farm's own network.", True)


@pytest.mark.parametrize("host", ["93.184.215.14", "[2606:2800:21f:cb07:6820:80da:af6b:8b2c]", "[64:ff9b::5db8:d70e]"])
def test_who_is_outside_may_be_told(host: str) -> None:
    assert resolved(receiver_of(f"https://{host}/hook"), WebhookSettings()) == [host.strip("[]")]


@pytest.mark.parametrize(
    ("host", "settings", "may"),
    [
        ("localhost", WebhookSettings(allow=("LocalHost",)), True),
        ("127.0.0.1", WebhookSettings(allow=("localhost",)), False),
        ("10.1.2.3", WebhookSettings(allow=("ci.farm.lan", "10.1.0.0/16")), True),
        ("10.2.2.3", WebhookSettings(allow=("10.1.0.0/16",)), False),
        ("10.2.2.3", WebhookSettings(allow_private=True), True),
        ("127.0.0.1", WebhookSettings(allow_private=True), True),
        ("[::ffff:127.0.0.1]", WebhookSettings(allow_private=True), True),
        ("[fd00::1]", WebhookSettings(allow_private=True), True),
        ("169.254.169.254", WebhookSettings(allow_private=True), False),
        ("[fe80::1]", WebhookSettings(allow_private=True), False),
        ("224.0.0.1", WebhookSettings(allow_private=True), False),
        ("0.0.0.0", WebhookSettings(allow_private=True), False),
    ],
)
def test_an_admin_allows_what_he_names_and_no_more(host: str, settings: WebhookSettings, may: bool) -> None:
    if may:
        assert resolved(receiver_of(f"http://{host}/"), settings)
    else:
        with pytest.raises(NotAllowed):
            resolved(receiver_of(f"http://{host}/"), settings)


@pytest.mark.parametrize(
    "url",
    [
        *("", "ci.example.org", "ftp://ci.example.org/", "file:///etc/passwd", "gopher://ci.example.org/"),
        *("https://", "https:///hook", "https://user@ci.example.org/", "https://user:hush@ci.example.org/"),
        *("https://ci.example.org\\@localhost/", "https://ci.example.org:0/", "https://ci.example.org:99999/"),
        *(
            "https://ci.example.org/a b",
            "https://ci.example.org/\r\nHost: x",
            "https://[::1",
            "https://ex\u00e4mple.org/",
        ),
        *("https://ci..example.org/", "https://.org/", f"https://{'x' * 64}.example.org/"),
        "https://ci.example.org/" + "x" * 2000,
    ],
)
def test_what_is_no_address_is_refused_and_not_repeated(farm: Farm, url: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        add_webhook(farm, ACTOR, url, project="default")
    assert "hush" not in f"{caught.value} {caught.value.hint}"
