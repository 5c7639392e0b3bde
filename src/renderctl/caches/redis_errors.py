"""What can be wrong with a Redis server, told apart, and what to do about it."""

import socket
import ssl
from collections.abc import Iterator, Mapping
from typing import Any

import redis
from redis import exceptions

from renderctl.core.errors import BadSettings, Unreachable

#: All that a try may end with.
ERRORS = (redis.RedisError, OSError)

_SILENT = "does not answer"
_FULL = "Give it more memory (maxmemory), or let it drop what is old: `CONFIG SET maxmemory-policy allkeys-lru`."
_ACL = "It needs: `ACL SETUSER NAME ~renderctl:* +@read +@write +@scripting +@connection +info`."
#: What the server said, by redis-py's name for it: what is wrong, and what to do.
_SAID: tuple[tuple[type[Exception], str, str], ...] = (
    (exceptions.BusyLoadingError, "is starting: it is reading its data", "It is there when it has read them all."),
    (exceptions.NoPermissionError, "does not let this user do what it must", _ACL),
    (exceptions.AuthenticationWrongNumberOfArgsError, "knows no user names", "Leave the user out of cache.url."),
    (exceptions.ReadOnlyError, "is a replica, which can not be written to", "Name the primary in cache.url."),
    (exceptions.MasterDownError, "is a replica that has lost its primary", "Name the primary in cache.url."),
    (exceptions.OutOfMemoryError, "is full", _FULL),
    (exceptions.MovedError, "is a node of a Redis Cluster", "Use a single server: a cluster is not supported."),
    (exceptions.ClusterError, "is a node of a Redis Cluster", "Use a single server: a cluster is not supported."),
    (exceptions.InvalidResponse, "does not speak as Redis does", "Does cache.url name the right port?"),
)
#: The same by the words of it, where there is no name.
_WORDS: tuple[tuple[str, str, str], ...] = (
    ("Authentication required", "wants a password", "Set it: cache.url is redis://:PASSWORD@HOST:PORT/0."),
    ("NOAUTH", "wants a password", "Set it: cache.url is redis://:PASSWORD@HOST:PORT/0."),
    ("without any password configured", "has no password, and cache.url gives one", "Leave it out of cache.url."),
    ("without password", "has no password, and cache.url gives one", "Leave it out of cache.url."),
    ("invalid username-password", "refuses the user or the password", "Correct them in cache.url."),
    ("invalid password", "refuses the password", "Correct it in cache.url."),
    ("max number of clients", "has too many clients", "Raise its maxclients."),
    ("DENIED", "takes nobody from another machine: protected mode", "Give it a password, or bind it to an address."),
    (
        "MISCONF",
        "can not save its data, and so takes no more",
        "Free its disk, or `CONFIG SET save ''`: a cache needs none.",
    ),
    ("DB index", "has no database of that number", "Correct the number at the end of cache.url."),
    ("cluster mode", "is a node of a Redis Cluster", "Use a single server: a cluster is not supported."),
    ("unknown command", "is too old", "Redis 6.2 or newer is needed."),
)


def explain(error: Exception, place: str) -> Unreachable:
    """The error for a person: what and where, and what to do; never a password."""
    what, hint = _explained(error)
    if what == _SILENT and place.startswith("rediss://"):
        hint = "Is it frozen, or a plain port? Then cache.url begins with redis://."
    return Unreachable(f"The cache at {place} {what}.", hint=hint)


def unusable_url() -> BadSettings:
    return BadSettings(
        "cache.url can not be used.",
        hint="It is redis://[USER:PASSWORD@]HOST:PORT/DATABASE, or rediss://… for TLS; "
        "special characters in a password are written as %40 and the like.",
    )


def place_of(url: str, options: Mapping[str, Any]) -> str:
    """The URL for people: never with a password."""
    scheme = url.partition("://")[0]
    if "path" in options:
        return f"{scheme}://{options['path']}"
    return f"{scheme}://{options.get('host', 'localhost')}:{options.get('port', 6379)}/{options.get('db') or 0}"


def _explained(error: Exception) -> tuple[str, str]:
    for cause in _chain(error):
        if found := _of_the_connection(cause):
            return found
    for kind, what, hint in _SAID:
        if isinstance(error, kind):
            return what, hint
    for sign, what, hint in _WORDS:
        if sign.lower() in str(error).lower():
            return what, hint
    if isinstance(error, redis.ConnectionError):
        return f"hung up: {str(error).rstrip('.')}", "Is it restarting? Does it want TLS (rediss://)?"
    return f"refuses: {str(error).rstrip('.')}", "The server's own log may say more."


def _of_the_connection(cause: BaseException) -> tuple[str, str] | None:
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"has a certificate that is not trusted: {cause.verify_message}", "Name its CA: ?ssl_ca_certs=FILE."
    if isinstance(cause, ssl.SSLError):
        return "does not answer as TLS does", "Is it a plain port? Then cache.url begins with redis://."
    if isinstance(cause, socket.gaierror):
        return f"can not be found: {cause.strerror}", "Correct the host in cache.url, or the DNS."
    if isinstance(cause, ConnectionRefusedError | FileNotFoundError):
        return f"is not there: {cause.strerror}", "Is it running, and does cache.url name the right port?"
    if isinstance(cause, redis.TimeoutError | TimeoutError):
        return _SILENT, "Is the server overloaded or frozen, or does a firewall swallow what is sent?"
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
