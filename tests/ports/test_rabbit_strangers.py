"""What takes our connection where a broker should be and is none, or has none behind it."""

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
    """The port of somebody who answers each message with the next of `answers`, and ends the connection at another."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    taken = listener.accept()[0]
                except OSError:
                    return
                with taken:
                    for answer in answers:
                        taken.recv(4096)
                        taken.sendall(answer)
                    if answers:
                        taken.recv(4096)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def trouble(url: str) -> str:
    queue = RabbitQueue(url, SystemClock())
    with pytest.raises(QueueUnavailable) as caught:
        queue.check()
    queue.close()
    assert "hush" not in f"{caught.value} {caught.value.hint}"
    return f"{caught.value} {caught.value.hint}"


@pytest.mark.parametrize("scheme", ["amqp", "amqps"])
def test_a_proxy_without_a_broker_behind_it_is_told_as_what_it_does(scheme: str) -> None:
    with stranger() as port:
        said = trouble(f"{scheme}://ada:hush@127.0.0.1:{port}/")
    assert f"127.0.0.1:{port} took the connection and ended it before a word of AMQP" in said
    assert "Is it a proxy, and the broker behind it away?" in said


@pytest.mark.parametrize("answers", [(_START,), (_START, _TUNE)], ids=["at the password", "at the virtual host"])
def test_a_broker_that_is_lost_during_the_login_has_refused_nobody(answers: tuple[bytes, ...]) -> None:
    with stranger(*answers) as port:
        said = trouble(f"amqp://ada:hush@127.0.0.1:{port}/")
    assert "ended the connection in the middle of the login" in said
    assert "password" not in said
