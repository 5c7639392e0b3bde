"""What can go wrong with a broker, in sentences that say where and what to do."""

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
#: All that is known of a proxy without a broker behind it, of another port, and of one that wants TLS, or does not.
_BROKEN_OFF = "took the connection and ended it before a word of AMQP"
_PROXY = "Is it a proxy, and the broker behind it away?"
_STRANGER = f"{_PROXY} Is it the port for AMQP (usually 5672; with TLS 5671, and amqps:// in queue.url)?"


class Blocked(AMQPError):  # type: ignore[misc]  # pika has no types
    """The broker takes no messages for now."""


class QueueGone(AMQPError):  # type: ignore[misc]
    """A queue that we use was deleted, or can not be reached on its node."""


def is_gone(error: BaseException) -> bool:
    """Whether a queue was not there: made again, it may well be."""
    return isinstance(error, QueueGone) or (isinstance(error, ChannelClosedByBroker) and error.reply_code == _NOT_FOUND)


def unavailable(error: BaseException, address: BrokerUrl) -> QueueUnavailable:
    """The error as the user should see it: with the address, and never with the password."""
    said, hint = next(
        (found for each in _causes(error) if (found := _explained(each, address))),
        ("can not be used", "`renderctl doctor` looks at every part of the farm."),
    )
    return QueueUnavailable(f"RabbitMQ at {address} {said}.", hint=hint)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and all that it wraps, the innermost first: pika nests them in several ways."""
    # Of a host's several addresses, one where somebody answers tells more.
    tried = sorted(getattr(error, "exceptions", ()), key=lambda each: isinstance(each, AMQPConnectorSocketConnectError))
    for inner in (*error.args, *tried, getattr(error, "exception", None), error.__cause__):
        if isinstance(inner, BaseException):
            yield from _causes(inner)
    yield error


def _explained(error: BaseException, address: BrokerUrl) -> tuple[str, str] | None:
    return _network_error(error, address) or _auth_error(error, address) or _broker_error(error, address)


def _network_error(error: BaseException, address: BrokerUrl) -> tuple[str, str] | None:
    where = "Check the host and port in queue.url"
    match error:
        case socket.gaierror():
            return f"is not found: the name {address.host} does not resolve", f"{where}, and the name servers."
        case ssl.SSLCertVerificationError():
            hint = "?cacertfile=FILE in queue.url names the authority that signed it."
            return f"has a certificate that is not trusted: {error.verify_message}", hint
        case ssl.SSLEOFError() | ssl.SSLZeroReturnError():
            return _BROKEN_OFF, _STRANGER
        case ssl.SSLError():
            hint = "Without TLS it is amqp:// in queue.url; with it, the port is usually 5671."
            return f"does not speak TLS as we do: {error.reason or error}", hint
        case ConnectionRefusedError():
            return "refuses the connection", f"Is it running? {where}."
        case TimeoutError() | AMQPHeartbeatTimeout() | AMQPConnectorStackTimeout():
            return "does not answer", f"Is it running, and not frozen? {where}."
        case ConnectionResetError() | BrokenPipeError():
            return _BROKEN_OFF, _STRANGER
        case OSError():
            return f"is out of reach: {error.strerror or error}", f"{where}."
    return None


def _auth_error(error: BaseException, address: BrokerUrl) -> tuple[str, str] | None:
    match error:
        case ProbableAuthenticationError() | ProbableAccessDeniedError() if StreamLostError.__name__ in str(error):
            # A broker that refuses somebody says so; pika guesses when it has heard nothing.
            return "ended the connection in the middle of the login", f"{_PROXY} Its log says more."
        case ProbableAuthenticationError() | ConnectionClosedByBroker(reply_code=403):
            hint = "Check user and password in queue.url; the user guest may only come from the broker's own machine."
            return f"does not accept user {address.user!r} and the password", hint
        case ProbableAccessDeniedError() if "not found" in str(error):  # pika has made text of what the broker said
            hint = f"`rabbitmqctl add_vhost {address.vhost}` makes it, or name another one in queue.url."
            return f"has no virtual host {address.vhost!r}", hint
        case ProbableAccessDeniedError():
            return f"lets user {address.user!r} not use the virtual host {address.vhost!r}", _permissions(address)
        case IncompatibleProtocolError():
            return _BROKEN_OFF, _STRANGER
    return None


def _broker_error(error: BaseException, address: BrokerUrl) -> tuple[str, str] | None:
    match error:
        case Blocked():
            hint = "It is short of memory or disk: `rabbitmq-diagnostics alarms` on its machine says which."
            return f"takes no messages for now: {error}", hint
        case ChannelClosedByBroker(reply_code=403):
            return f"refuses user {address.user!r}: {_plain(error.reply_text)}", _permissions(address)
        case ChannelClosedByBroker(reply_code=406):
            hint = "Delete that queue (`rabbitmqctl delete_queue NAME`): tickets are issued again by themselves."
            return f"has the queue with other properties: {_plain(error.reply_text)}", hint
        case QueueGone():
            return f"could not keep the ticket: {error}", "Is the node that holds the queue up?"
        case ConnectionClosedByBroker() | ChannelClosedByBroker():
            return f"closed the connection: {_plain(error.reply_text)}", "Its log says more."
        case AMQPError():
            return "was lost", "It is tried again by itself."
    return None


def _permissions(address: BrokerUrl) -> str:
    rights = "'^renderctl' '^(renderctl|amq.default)' '^renderctl'"
    return f"`rabbitmqctl set_permissions -p {address.vhost} {address.user} {rights}` allows it what it needs."


def _plain(reply: str) -> str:
    """`ACCESS_REFUSED - configure access …` without the code's name."""
    return reply.partition(" - ")[2] or reply
