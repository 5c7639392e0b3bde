"""What is wrong with a broker is said in words that help: where, what, and what to do; never with a password."""

import socket
from collections.abc import Iterator

import pytest

from renderctl.core.clocks import SystemClock
from renderctl.core.errors import QueueUnavailable
from renderctl.queues import Ticket
from renderctl.queues.rabbitmq import RabbitQueue
from tests.ports.brokers import TlsRabbitMq, channel_to
from tests.services import running
from tests.services.fixtures import require
from tests.services.server import free_port

pytestmark = pytest.mark.services
TICKET = Ticket("a", 1)


@pytest.fixture(scope="module")
def broker() -> Iterator[TlsRabbitMq]:
    require(TlsRabbitMq)
    with running(TlsRabbitMq) as broker:
        yield broker


def trouble(url: str) -> str:
    """What a put says, hint and all; `get` and `check` say the same."""
    queue = RabbitQueue(url, SystemClock())
    said = []
    for use in (lambda: queue.put(TICKET, pool="p", priority=5), lambda: queue.get(["p"], 0), queue.check):
        with pytest.raises(QueueUnavailable) as caught:
            use()
        said.append(f"{caught.value} {caught.value.hint}")
    queue.close()
    assert said[0] == said[1] == said[2] or "check" in said[2]
    assert "hush" not in said[0]
    return said[0]


def test_a_broker_that_is_not_there() -> None:
    port = free_port()
    assert f"127.0.0.1:{port} refuses the connection. Is it running?" in trouble(f"amqp://ada:hush@127.0.0.1:{port}/")


def test_a_host_that_does_not_exist() -> None:
    assert "no-such-host.invalid does not resolve" in trouble("amqp://ada:hush@no-such-host.invalid/")


def test_a_wrong_password(broker: TlsRabbitMq) -> None:
    said = trouble(f"amqp://guest:hush@127.0.0.1:{broker.port}/")
    assert "does not accept user 'guest' and the password" in said


def test_a_virtual_host_that_does_not_exist(broker: TlsRabbitMq) -> None:
    said = trouble(f"{broker.url}nowhere")
    assert "has no virtual host 'nowhere'" in said
    assert "rabbitmqctl add_vhost nowhere" in said


def test_a_virtual_host_of_others(broker: TlsRabbitMq) -> None:
    broker.control("add_user", "stranger", "hush")
    said = trouble(f"amqp://stranger:hush@127.0.0.1:{broker.port}/")
    assert "lets user 'stranger' not use the virtual host '/'" in said
    assert "rabbitmqctl set_permissions -p / stranger" in said


def test_permissions_that_are_missing_and_those_that_are_advised(broker: TlsRabbitMq) -> None:
    broker.control("add_user", "reader", "hush")
    broker.control("set_permissions", "-p", "/", "reader", "^$", ".*", ".*")
    url = f"amqp://reader:hush@127.0.0.1:{broker.port}/"
    said = trouble(url)
    assert "refuses user 'reader': " in said
    advice = said.partition("`rabbitmqctl ")[2].partition("`")[0].replace("'", "").split(" ")
    broker.control(*advice)
    queue = RabbitQueue(url, SystemClock())
    queue.put(TICKET, pool="p", priority=5, delay_s=0.05)
    assert queue.get(["p"], 5) == TICKET
    assert queue.check()
    queue.close()


def test_a_queue_that_was_made_by_others_with_other_properties(broker: TlsRabbitMq) -> None:
    with channel_to(broker.url + "%2F") as channel:
        channel.queue_declare("renderctl.theirs", durable=True)
    queue = RabbitQueue(broker.url, SystemClock())
    for use in (lambda: queue.put(TICKET, pool="theirs", priority=5), lambda: queue.get(["theirs"], 0)):
        with pytest.raises(QueueUnavailable, match=r"other properties: .*renderctl\.theirs") as caught:
            use()
        assert "delete_queue" in (caught.value.hint or "")
    queue.put(TICKET, pool="ours", priority=5)
    assert queue.get(["ours"], 1) == TICKET
    queue.close()


def test_tls_with_the_authority_named(broker: TlsRabbitMq) -> None:
    url = f"amqps://guest:guest@localhost:{broker.tls_port}/?cacertfile={broker.certificate}"
    queue = RabbitQueue(url, SystemClock())
    queue.put(TICKET, pool="tls", priority=5)
    assert queue.get(["tls"], 1) == TICKET
    queue.close()


def test_tls_with_a_certificate_that_nobody_knows(broker: TlsRabbitMq) -> None:
    said = trouble(f"amqps://guest:guest@localhost:{broker.tls_port}/")
    assert "certificate that is not trusted: self-signed certificate" in said
    assert "cacertfile" in said
    queue = RabbitQueue(f"amqps://guest:guest@localhost:{broker.tls_port}/?verify=verify_none", SystemClock())
    assert queue.get(["tls"], 0) is None
    queue.close()


def test_tls_where_there_is_none_and_none_where_there_is(broker: TlsRabbitMq) -> None:
    assert "does not speak TLS" in trouble(f"amqps://guest:hush@127.0.0.1:{broker.port}/")
    assert "amqps://" in trouble(f"amqp://guest:hush@127.0.0.1:{broker.tls_port}/")


def test_a_port_on_which_nobody_speaks(broker: TlsRabbitMq) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert "does not answer" in trouble(f"amqp://ada:hush@127.0.0.1:{port}/")
