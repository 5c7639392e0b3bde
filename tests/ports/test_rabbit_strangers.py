"""A server that is no broker, or a proxy with none behind it."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from pika import frame, spec

from renderctl.core.clocks import SystemClock
from renderctl.core.errors import QueueUnavailable
from renderctl.queues.rabbitmq import RabbitQueue

_START = frame.Method(0, spec.Connection.Start(0, 9, {}, "PLAIN", "en_US")).marshal()
_TUNE = frame.Method(0, spec.Connection.Tune(0, 131072, 60)).marshal()


@contextmanager
def stranger(*answers: bytes) -> Iterator[int]:
    """Serve a port that replies to each message with the next of `answers`, then closes the connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection = listener.accept()[0]
                except OSError:
                    return
                with connection:
                    for answer in answers:
                        connection.recv(4096)
                        connection.sendall(answer)
                    if answers:
                        connection.recv(4096)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def error_text(url: str) -> str:
    queue = RabbitQueue(url, SystemClock())
    with pytest.raises(QueueUnavailable) as caught:
        queue.check()
    queue.close()
    assert "hush" not in f"{caught.value} {caught.value.hint}"
    return f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize("scheme", ["amqp", "amqps"])
def test_a_proxy_without_a_broker_behind_it_is_suggested(scheme: str) -> None:
    with stranger() as port:
        message = error_text(f"{scheme}://ada:hush@127.0.0.1:{port}/")
    assert f"127.0.0.1:{port} closed the connection before it spoke AMQP" in message
    assert "Is it a proxy whose broker is down?" in message


@pytest.mark.parametrize("answers", [(_START,), (_START, _TUNE)], ids=["at the password", "at the virtual host"])
def test_a_broker_that_is_lost_during_the_login_has_refused_nobody(answers: tuple[bytes, ...]) -> None:
    with stranger(*answers) as port:
        message = error_text(f"amqp://ada:hush@127.0.0.1:{port}/")
    assert "closed the connection during the login" in message
    assert "password" not in message
