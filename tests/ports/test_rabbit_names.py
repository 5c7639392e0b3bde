"""Names of queues and broker URLs; needs no broker."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from renderctl.core.errors import QueueUnavailable
from renderctl.queues.rabbitmq.topology import delay_queue, pool_queue, rounded_delay
from renderctl.queues.rabbitmq.url import parse_url

POOLS = st.text(max_size=255)
LONG = "☂" * 255


@given(POOLS, POOLS)
def test_two_pools_never_share_a_queue(one: str, other: str) -> None:
    assert (pool_queue(one) == pool_queue(other)) == (one == other)
    assert pool_queue(one) != delay_queue(other, 500)


@pytest.mark.slow
@given(POOLS, st.integers(1, 10**8))
def test_every_name_is_one_that_the_broker_takes(pool: str, delay_ms: int) -> None:
    for name in (pool_queue(pool), delay_queue(pool, delay_ms)):
        assert len(name.encode()) <= 255
        assert name.startswith("renderctl")


def test_a_name_can_be_read_unless_it_is_too_long() -> None:
    assert pool_queue("gpu") == "renderctl.gpu"
    assert delay_queue("gpu", 500) == "renderctl-delay-500.gpu"
    assert pool_queue(LONG).startswith("renderctl-long.")
    assert pool_queue(LONG) != pool_queue(LONG[1:] + "x")


def test_a_pool_that_mimics_another_queue_is_only_a_pool() -> None:
    mimics = ["", ".", "delay-500.gpu", "-delay-500.gpu", "long", pool_queue(LONG), delay_queue("gpu", 500)]
    names = [pool_queue(pool) for pool in [*mimics, LONG, "gpu"]] + [delay_queue(pool, 500) for pool in ("gpu", LONG)]
    assert len(set(names)) == len(names)


@given(st.floats(0.0, 1e7))
def test_a_delay_is_rounded_up_by_less_than_a_quarter(delay_s: float) -> None:
    asked, given_ms = min(max(delay_s * 1000, 1), 24 * 3600 * 1000), rounded_delay(delay_s)
    assert asked <= given_ms <= math.ceil(asked) * 1.25


def test_a_minute_of_delays_needs_few_queues() -> None:
    assert len({rounded_delay(ms / 1000) for ms in range(1, 60_000)}) <= 60


@pytest.mark.parametrize(
    ("url", "host", "port", "vhost", "user"),
    [
        ("amqp://farm", "farm", 5672, "/", "guest"),
        ("amqp://ada:x@farm:5673/", "farm", 5673, "/", "ada"),
        ("amqp://ada:x@farm/%2F", "farm", 5672, "/", "ada"),
        ("amqp://a%40b:x%2Fy@farm/my%20farm", "farm", 5672, "my farm", "a@b"),
        ("amqps://ada:x@[::1]/v", "::1", 5671, "v", "ada"),
    ],
)
def test_a_url_says_where_and_who(url: str, host: str, port: int, vhost: str, user: str) -> None:
    address = parse_url(url)
    assert (address.host, address.port, address.vhost, address.user) == (host, port, vhost, user)
    assert address.tls == url.startswith("amqps")


def test_a_heartbeat_can_be_asked_for() -> None:
    assert parse_url("amqp://farm/?heartbeat=7").parameters.heartbeat == 7


@pytest.mark.parametrize(
    "url",
    [
        "",
        "farm:5672",
        "http://ada:hush@farm/",
        "amqp://ada:hush@/",
        "amqp://ada:hush@farm:many/",
        "amqp://ada:hush@farm/?heartbeat=-1",
        "amqp://ada:hush@farm/?heartbeat=often",
        "amqp://ada:hush@farm/?no_such=1",
        "amqps://ada:hush@farm/?verify=perhaps",
        "amqps://ada:hush@farm/?cacertfile=/no/such/file",
    ],
)
def test_a_malformed_url_is_refused_without_showing_its_password(url: str) -> None:
    with pytest.raises(QueueUnavailable, match=r"queue\.url") as caught:
        parse_url(url)
    assert caught.value.hint
    assert "hush" not in f"{caught.value} {caught.value.hint}"


def test_a_file_that_holds_no_certificate_is_named(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing of the kind")
    with pytest.raises(QueueUnavailable, match=r"ca\.pem"):
        parse_url(f"amqps://farm/?cacertfile={tmp_path / 'ca.pem'}")


def test_an_address_never_shows_the_password() -> None:
    address = parse_url("amqp://ada:hush@farm/")
    assert "hush" not in f"{address!r} {address}"
