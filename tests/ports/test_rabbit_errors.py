"""An error of a broker says where it is, what is wrong and what to do; never the password."""

import socket
from collections.abc import Callable, Iterator

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


def error_text(url: str) -> str:
    """Return the message and hint of a failing put; `get` and `check` raise the same."""
    queue = RabbitQueue(url, SystemClock())
    message = []
    for use in (lambda: queue.put(TICKET, pool="p", priority=5), lambda: queue.get(["p"], 0), queue.check):
        with pytest.raises(QueueUnavailable) as caught:
            use()
        message.append(f"{caught.value} {caught.value.hint}")
    queue.close()
    assert message[0] == message[1] == message[2] or "check" in message[2]
    assert "hush" not in message[0]
    return message[0]


def test_a_broker_that_is_not_there() -> None:
    port = free_port()
    assert f"127.0.0.1:{port} refuses the connection. Is it running?" in error_text(
        f"amqp://ada:hush@127.0.0.1:{port}/"
    )


def test_a_host_that_does_not_exist() -> None:
    assert "no-such-host.invalid does not resolve" in error_text("amqp://ada:hush@no-such-host.invalid/")


def test_a_wrong_password(broker: TlsRabbitMq) -> None:
    message = error_text(f"amqp://guest:hush@127.0.0.1:{broker.port}/")
    assert "rejects user 'guest' or the password" in message


def test_a_virtual_host_that_does_not_exist(broker: TlsRabbitMq) -> None:
    message = error_text(f"{broker.url}nowhere")
    assert "has no virtual host 'nowhere'" in message
    assert "rabbitmqctl add_vhost nowhere" in message


def test_a_virtual_host_of_others(broker: TlsRabbitMq) -> None:
    broker.control("add_user", "stranger", "hush")
    message = error_text(f"amqp://stranger:hush@127.0.0.1:{broker.port}/")
    assert "does not let user 'stranger' use the virtual host '/'" in message
    assert "rabbitmqctl set_permissions -p / stranger" in message


def test_permissions_that_are_missing_and_those_that_are_advised(broker: TlsRabbitMq) -> None:
    broker.control("add_user", "reader", "hush")
    broker.control("set_permissions", "-p", "/", "reader", "^$", ".*", ".*")
    url = f"amqp://reader:hush@127.0.0.1:{broker.port}/"
    message = error_text(url)
    assert "refuses user 'reader': " in message
    command = message.partition("`rabbitmqctl ")[2].partition("`")[0].replace("'", "").split(" ")
    broker.control(*command)
    queue = RabbitQueue(url, SystemClock())
    queue.put(TICKET, pool="p", priority=5, delay_s=0.05)
    assert queue.get(["p"], 5) == TICKET
    assert queue.check()
    queue.close()


def test_a_queue_that_was_made_by_others_with_other_properties(broker: TlsRabbitMq) -> None:
    with channel_to(broker.url + "%2F") as channel:
        channel.queue_declare("renderctl.theirs", durable=True)
    queue = RabbitQueue(broker.url, SystemClock())
    uses: list[Callable[[], object]] = [
        lambda: queue.put(TICKET, pool="theirs", priority=5),
        lambda: queue.get(["theirs"], 0),
    ]
    for use in uses:
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
    message = error_text(f"amqps://guest:guest@localhost:{broker.tls_port}/")
    assert "certificate that is not trusted: self-signed certificate" in message
    assert "cacertfile" in message
    queue = RabbitQueue(f"amqps://guest:guest@localhost:{broker.tls_port}/?verify=verify_none", SystemClock())
    assert queue.get(["tls"], 0) is None
    queue.close()


def test_tls_where_there_is_none_and_none_where_there_is(broker: TlsRabbitMq) -> None:
    assert "failed the TLS handshake" in error_text(f"amqps://guest:hush@127.0.0.1:{broker.port}/")
    assert "amqps://" in error_text(f"amqp://guest:hush@127.0.0.1:{broker.tls_port}/")


def test_a_port_on_which_nobody_speaks(broker: TlsRabbitMq) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert "does not answer" in error_text(f"amqp://ada:hush@127.0.0.1:{port}/")
