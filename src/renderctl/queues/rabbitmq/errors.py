"""Translates errors of pika and of the network into messages that say where and what to do."""

import socket
import ssl
from collections.abc import Iterator

from pika.adapters.utils.connection_workflow import AMQPConnectorSocketConnectError, AMQPConnectorStackTimeout
from pika.exceptions import (
    AMQPError,
    AMQPHeartbeatTimeout,
    ChannelClosedByBroker,
    ConnectionClosedByBroker,
    IncompatibleProtocolError,
    ProbableAccessDeniedError,
    ProbableAuthenticationError,
    StreamLostError,
)

from renderctl.core.errors import QueueUnavailable
from renderctl.queues.rabbitmq.url import BrokerUrl

_NOT_FOUND = 404
#: All that can be seen of a proxy without a broker behind it, a wrong port, and one that expects TLS or does not.
_CLOSED_EARLY = "closed the connection before it spoke AMQP"
_PROXY = "Is it a proxy whose broker is down?"
_NOT_AMQP = f"{_PROXY} Is it the AMQP port (usually 5672; with TLS 5671, and amqps:// in queue.url)?"


class Blocked(AMQPError):  # type: ignore[misc]  # pika has no types
    """The broker accepts no messages for now (connection.blocked)."""


class QueueGone(AMQPError):  # type: ignore[misc]
    """A declared queue was deleted, or its node is out of reach."""


def is_gone(error: BaseException) -> bool:
    """Return whether the error means that a queue is missing, so that declaring it again may help."""
    return isinstance(error, QueueGone) or (isinstance(error, ChannelClosedByBroker) and error.reply_code == _NOT_FOUND)


def unavailable(error: BaseException, url: BrokerUrl) -> QueueUnavailable:
    """Return the error to show to the user: with the broker's address, never with the password."""
    problem, hint = next(
        (explanation for cause in _causes(error) if (explanation := _explain(cause, url))),
        ("cannot be used", "`renderctl doctor` checks every part of the farm."),
    )
    return QueueUnavailable(f"RabbitMQ at {url} {problem}.", hint=hint)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and all that it wraps, innermost first: pika nests errors in several ways."""
    # Of a host with several addresses, the error of one that accepted the connection says most.
    attempts = sorted(
        getattr(error, "exceptions", ()), key=lambda error: isinstance(error, AMQPConnectorSocketConnectError)
    )
    for inner in (*error.args, *attempts, getattr(error, "exception", None), error.__cause__):
        if isinstance(inner, BaseException):
            yield from _causes(inner)
    yield error


def _explain(error: BaseException, url: BrokerUrl) -> tuple[str, str] | None:
    return _network_error(error, url) or _auth_error(error, url) or _broker_error(error, url)


def _network_error(error: BaseException, url: BrokerUrl) -> tuple[str, str] | None:
    where = "Check the host and port in queue.url"
    match error:
        case socket.gaierror():
            return f"is not found: the name {url.host} does not resolve", f"{where}, and the name servers."
        case ssl.SSLCertVerificationError():
            hint = "Name the certificate authority with ?cacertfile=FILE in queue.url."
            return f"has a certificate that is not trusted: {error.verify_message}", hint
        case ssl.SSLEOFError() | ssl.SSLZeroReturnError():
            return _CLOSED_EARLY, _NOT_AMQP
        case ssl.SSLError():
            hint = "Use amqp:// in queue.url for a port without TLS; the port with TLS is usually 5671."
            return f"failed the TLS handshake: {error.reason or error}", hint
        case ConnectionRefusedError():
            return "refuses the connection", f"Is it running? {where}."
        case TimeoutError() | AMQPHeartbeatTimeout() | AMQPConnectorStackTimeout():
            return "does not answer", f"Is it running, and not frozen? {where}."
        case ConnectionResetError() | BrokenPipeError():
            return _CLOSED_EARLY, _NOT_AMQP
        case OSError():
            return f"is out of reach: {error.strerror or error}", f"{where}."
    return None


def _auth_error(error: BaseException, url: BrokerUrl) -> tuple[str, str] | None:
    match error:
        case ProbableAuthenticationError() | ProbableAccessDeniedError() if StreamLostError.__name__ in str(error):
            # A broker that refuses a login says so; pika guesses this error when the connection was lost.
            return "closed the connection during the login", f"{_PROXY} See its log."
        case ProbableAuthenticationError() | ConnectionClosedByBroker(reply_code=403):
            hint = "Check user and password in queue.url; the user guest may only connect from localhost."
            return f"rejects user {url.user!r} or the password", hint
        case ProbableAccessDeniedError() if "not found" in str(error):  # pika passes the reply on as text only
            hint = f"Create it with `rabbitmqctl add_vhost {url.vhost}`, or name another one in queue.url."
            return f"has no virtual host {url.vhost!r}", hint
        case ProbableAccessDeniedError():
            return f"does not let user {url.user!r} use the virtual host {url.vhost!r}", _permissions(url)
        case IncompatibleProtocolError():
            return _CLOSED_EARLY, _NOT_AMQP
    return None


def _broker_error(error: BaseException, url: BrokerUrl) -> tuple[str, str] | None:
    match error:
        case Blocked():
            hint = "It is short of memory or disk: see `rabbitmq-diagnostics alarms` on its machine."
            return f"accepts no messages for now: {error}", hint
        case ChannelClosedByBroker(reply_code=403):
            return f"refuses user {url.user!r}: {_plain(error.reply_text)}", _permissions(url)
        case ChannelClosedByBroker(reply_code=406):
            hint = "Delete that queue (`rabbitmqctl delete_queue NAME`): tickets are issued again automatically."
            return f"has the queue with other properties: {_plain(error.reply_text)}", hint
        case QueueGone():
            return f"could not keep the ticket: {error}", "Is the node that holds the queue up?"
        case ConnectionClosedByBroker() | ChannelClosedByBroker():
            return f"closed the connection: {_plain(error.reply_text)}", "See its log."
        case AMQPError():
            return "lost the connection", "It is opened again automatically."
    return None


def _permissions(url: BrokerUrl) -> str:
    rights = "'^renderctl' '^(renderctl|amq.default)' '^renderctl'"
    return f"`rabbitmqctl set_permissions -p {url.vhost} {url.user} {rights}` grants what it needs."


def _plain(reply: str) -> str:
    """Strip the code's name: `ACCESS_REFUSED - configure access …` -> `configure access …`."""
    return reply.partition(" - ")[2] or reply
