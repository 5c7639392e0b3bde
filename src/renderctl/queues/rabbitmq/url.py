"""The URL of a broker: host, virtual host, credentials, TLS options."""

import os
import platform
import ssl
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import pika

from renderctl.core.errors import QueueUnavailable

#: Seconds of silence after which either side takes the other for dead (`heartbeat=…` in the URL).
_HEARTBEAT_S = 30
#: Seconds that connecting may take, for each address of the host.
_CONNECT_TIMEOUT_S = 5.0
#: Options that may follow `?` in the URL, with the names that RabbitMQ's own clients use.
_OPTIONS = ("cacertfile", "certfile", "keyfile", "verify", "server_name_indication", "heartbeat")
_HINT = "queue.url is amqp://USER:PASSWORD@HOST:5672/VHOST, or amqps://… for TLS."


@dataclass(frozen=True)
class BrokerUrl:
    """A parsed broker URL. Its text form holds no credentials."""

    host: str
    port: int
    vhost: str
    user: str
    tls: bool
    parameters: pika.ConnectionParameters = field(repr=False)

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


def parse_url(url: str) -> BrokerUrl:
    """Parse `queue.url`. Raises QueueUnavailable, whose text never holds the password."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise QueueUnavailable("queue.url is not a URL.", hint=_HINT) from None
    if parts.scheme not in ("amqp", "amqps") or not parts.hostname:
        raise QueueUnavailable("queue.url does not name a RabbitMQ broker.", hint=_HINT)
    options = _query_options(parts)
    tls = parts.scheme == "amqps"
    host, port = parts.hostname, port or (5671 if tls else 5672)
    user = unquote(parts.username or "guest")
    vhost = unquote(parts.path[1:]) or "/"
    parameters = pika.ConnectionParameters(
        host,
        port,
        vhost,
        pika.PlainCredentials(user, unquote(parts.password or "guest")),
        heartbeat=_heartbeat(options),
        socket_timeout=_CONNECT_TIMEOUT_S,
        stack_timeout=_CONNECT_TIMEOUT_S,
        ssl_options=_ssl_options(options, host) if tls else None,
        client_properties={"connection_name": f"renderctl {platform.node()} {os.getpid()}"},
    )
    return BrokerUrl(host, port, vhost, user, tls, parameters)


def _query_options(parts: SplitResult) -> dict[str, str]:
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    for name in options:
        if name not in _OPTIONS:
            raise QueueUnavailable(
                f"queue.url has an unknown option {name!r}.", hint=f"It takes {', '.join(_OPTIONS)}."
            )
    return options


def _heartbeat(options: dict[str, str]) -> int:
    text = options.get("heartbeat", str(_HEARTBEAT_S))
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise QueueUnavailable("The heartbeat in queue.url must be a number of seconds, 1 or more.", hint=_HINT)
    return int(text)


def _ssl_options(options: dict[str, str], host: str) -> pika.SSLOptions:
    verify = options.get("verify", "verify_peer")
    if verify not in ("verify_peer", "verify_none"):
        raise QueueUnavailable("verify in queue.url must be verify_peer or verify_none.", hint=_HINT)
    try:
        context = ssl.create_default_context(cafile=options.get("cacertfile"))
        if verify == "verify_none":
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if "certfile" in options:
            context.load_cert_chain(options["certfile"], options.get("keyfile"))
    except (OSError, ssl.SSLError) as error:
        files = ", ".join(
            f"{name}={options[name]}" for name in ("cacertfile", "certfile", "keyfile") if name in options
        )
        hint = "Each must be a PEM file that this process may read."
        raise QueueUnavailable(
            f"The certificates in queue.url ({files}) cannot be used: {error}.", hint=hint
        ) from error
    return pika.SSLOptions(context, options.get("server_name_indication", host))
