"""Translates errors of Redis and of the network into messages that say what is wrong and what to do."""

import socket
import ssl
from collections.abc import Iterator, Mapping
from typing import Any

import redis
from redis import exceptions

from renderctl.core.errors import BadSettings, Unreachable

#: Exceptions that a command may raise.
ERRORS = (redis.RedisError, OSError)

_NO_REPLY = "does not answer"
_FULL = "Give it more memory (maxmemory), or let it drop what is old: `CONFIG SET maxmemory-policy allkeys-lru`."
_ACL = "It needs: `ACL SETUSER NAME ~renderctl:* +@read +@write +@scripting +@connection +info`."
#: Exception of redis-py, what is wrong, what to do.
_BY_TYPE: tuple[tuple[type[Exception], str, str], ...] = (
    (exceptions.BusyLoadingError, "is starting: it is loading its data", "Try again when it has loaded them."),
    (exceptions.NoPermissionError, "does not grant this user what renderctl needs", _ACL),
    (
        exceptions.AuthenticationWrongNumberOfArgsError,
        "does not support user names",
        "Leave the user out of cache.url.",
    ),
    (exceptions.ReadOnlyError, "is a read-only replica", "Name the primary in cache.url."),
    (exceptions.MasterDownError, "is a replica that has lost its primary", "Name the primary in cache.url."),
    (exceptions.OutOfMemoryError, "is full", _FULL),
    (exceptions.MovedError, "is a node of a Redis Cluster", "Use a single server: a cluster is not supported."),
    (exceptions.ClusterError, "is a node of a Redis Cluster", "Use a single server: a cluster is not supported."),
    (exceptions.InvalidResponse, "does not speak the Redis protocol", "Does cache.url name the right port?"),
)
#: The same by a fragment of the server's message, where redis-py has no exception of its own.
_BY_TEXT: tuple[tuple[str, str, str], ...] = (
    ("Authentication required", "wants a password", "Set it: cache.url is redis://:PASSWORD@HOST:PORT/0."),
    ("NOAUTH", "wants a password", "Set it: cache.url is redis://:PASSWORD@HOST:PORT/0."),
    ("without any password configured", "has no password, and cache.url gives one", "Leave it out of cache.url."),
    ("without password", "has no password, and cache.url gives one", "Leave it out of cache.url."),
    ("invalid username-password", "rejects the user or the password", "Correct them in cache.url."),
    ("invalid password", "rejects the password", "Correct it in cache.url."),
    ("max number of clients", "has too many clients", "Raise its maxclients."),
    ("DENIED", "accepts no other machine: it is in protected mode", "Give it a password, or bind it to an address."),
    (
        "MISCONF",
        "cannot save its data, so it accepts no writes",
        "Free its disk, or `CONFIG SET save ''`: a cache needs none.",
    ),
    ("DB index", "has no database with that number", "Correct the number at the end of cache.url."),
    ("cluster mode", "is a node of a Redis Cluster", "Use a single server: a cluster is not supported."),
    ("unknown command", "is too old", "Redis 6.2 or newer is needed."),
)


def explain(error: Exception, place: str) -> Unreachable:
    """Return the error to show to the user: where, what is wrong and what to do; never the password."""
    problem, hint = _explain(error)
    if problem == _NO_REPLY and place.startswith("rediss://"):
        hint = "Is it frozen, or a plain port? Then cache.url begins with redis://."
    return Unreachable(f"The cache at {place} {problem}.", hint=hint)


def unusable_url() -> BadSettings:
    """Return the error for a cache.url that redis-py refuses; never with the password."""
    return BadSettings(
        "cache.url cannot be used.",
        hint="Write redis://[USER:PASSWORD@]HOST:PORT/DATABASE, or rediss://… for TLS; "
        "special characters in a password are percent-encoded, such as %40.",
    )


def redacted_url(url: str, options: Mapping[str, Any]) -> str:
    """Return the URL as it may be shown: without user and password."""
    scheme = url.partition("://")[0]
    if "path" in options:
        return f"{scheme}://{options['path']}"
    return f"{scheme}://{options.get('host', 'localhost')}:{options.get('port', 6379)}/{options.get('db') or 0}"


def _explain(error: Exception) -> tuple[str, str]:
    for cause in _chain(error):
        if explanation := _connection_error(cause):
            return explanation
    for kind, problem, hint in _BY_TYPE:
        if isinstance(error, kind):
            return problem, hint
    for fragment, problem, hint in _BY_TEXT:
        if fragment.lower() in str(error).lower():
            return problem, hint
    if isinstance(error, redis.ConnectionError):
        return f"closed the connection: {str(error).rstrip('.')}", "Is it restarting? Does it want TLS (rediss://)?"
    return f"refuses: {str(error).rstrip('.')}", "See the server's log."


def _connection_error(cause: BaseException) -> tuple[str, str] | None:
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"has a certificate that is not trusted: {cause.verify_message}", "Name its CA: ?ssl_ca_certs=FILE."
    if isinstance(cause, ssl.SSLError):
        return "does not speak TLS", "Is it a plain port? Then cache.url begins with redis://."
    if isinstance(cause, socket.gaierror):
        return f"cannot be found: {cause.strerror}", "Correct the host in cache.url, or the DNS."
    if isinstance(cause, ConnectionRefusedError | FileNotFoundError):
        return f"is out of reach: {cause.strerror}", "Is it running, and does cache.url name the right port?"
    if isinstance(cause, redis.TimeoutError | TimeoutError):
        return _NO_REPLY, "Is the server overloaded or frozen, or does a firewall drop packets?"
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
