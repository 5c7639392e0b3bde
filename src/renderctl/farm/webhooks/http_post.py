"""One try to send something to a receiver: within its time, to an address that was checked, following nothing."""

import os
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from http.client import HTTPException

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

from renderctl.core.errors import InvalidInput, NotAllowed
from renderctl.core.settings import WebhookSettings
from renderctl.core.webhooks import DeliveryAttempt
from renderctl.farm.webhooks.receiver_address import Receiver, receiver_of, resolved

#: Bytes of an answer that are read, and characters that are kept.
_READ, _KEPT = 1024, 200
_GONE = 410
#: Addresses of a host that are tried.
_ADDRESSES = 4
_TROUBLES = (urllib3.exceptions.HTTPError, HTTPException, OSError, ValueError)


def post(url: str, body: bytes, headers: Mapping[str, str], settings: WebhookSettings) -> DeliveryAttempt:
    """Send it, and say what came of it: nothing that a receiver does is an error of ours."""
    try:
        receiver = receiver_of(url)
        addresses = resolved(receiver, settings)[:_ADDRESSES]
    except (NotAllowed, InvalidInput) as error:
        return DeliveryAttempt(None, None, error.message, final=True)
    except OSError as error:
        return DeliveryAttempt(None, None, f"its name is not known: {error.strerror or error}")
    try:
        with _connected(receiver, addresses, settings.timeout) as connection, _within(connection, settings.timeout):
            request_headers = {**headers, "Host": receiver.named, "Connection": "close"}
            connection.request("POST", receiver.path, body, request_headers, preload_content=False)
            answer = connection.getresponse()
            return _attempted(answer.status, answer.read(_READ, decode_content=False))
    except TimeoutError:
        return DeliveryAttempt(None, None, f"no answer within {settings.timeout:g} s")
    except _TROUBLES as error:
        return DeliveryAttempt(None, None, _reason(error))


@contextmanager
def _connected(receiver: Receiver, addresses: Sequence[str], timeout_s: float) -> Iterator[HTTPConnection]:
    """A connection to the first of the addresses that can be reached; each has a part of the time."""
    for left, address in zip(range(len(addresses) - 1, -1, -1), addresses, strict=True):
        connection = _connection(receiver, address, timeout_s / len(addresses))
        try:
            connection.connect()
        except _TROUBLES:
            connection.close()
            if not left:
                raise
        else:
            break
    try:
        yield connection
    finally:
        connection.close()


def _connection(receiver: Receiver, address: str, timeout_s: float) -> HTTPConnection:
    """To the address, in the name of the host: that is what its certificate has to say."""
    if receiver.scheme == "http":
        return HTTPConnection(address, receiver.port, timeout=timeout_s)
    return HTTPSConnection(
        address,
        receiver.port,
        timeout=timeout_s,
        server_hostname=receiver.host,
        ssl_context=ssl.create_default_context(),
    )


@contextmanager
def _within(connection: HTTPConnection, seconds: float) -> Iterator[None]:
    """Cut it off when the time is over: who sends a byte now and then never runs into a time-out.

    Raises TimeoutError.
    """
    connection.sock.settimeout(seconds)
    wire = socket.socket(fileno=os.dup(connection.sock.fileno()))
    over = threading.Event()

    def cut() -> None:
        over.set()
        with suppress(OSError):
            wire.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    except _TROUBLES as error:
        if over.is_set():
            raise TimeoutError from error
        raise
    finally:
        timer.cancel()
        timer.join()
        wire.close()


def _attempted(status: int, content: bytes) -> DeliveryAttempt:
    excerpt = " ".join(content.decode("utf-8", "replace").split())[:_KEPT]
    if 200 <= status < 300:
        return DeliveryAttempt(status, excerpt or None, None)
    more = "; redirects are not followed" if 300 <= status < 400 else ""
    return DeliveryAttempt(status, excerpt or None, f"answered {status}{more}", final=status == _GONE)


def _reason(error: BaseException) -> str:
    """What went wrong, without addresses: the list of deliveries shows it."""
    seen: BaseException | None = error
    causes: list[BaseException] = []
    while seen is not None:
        causes.append(seen)
        seen = seen.__cause__ or seen.__context__
    for cause in reversed(causes):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not valid: {cause.verify_message}"
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
    if any(isinstance(cause, TimeoutError) for cause in causes):
        return "no connection in time"
    return f"it does not answer as HTTP does ({type(error).__name__})"
