"""Addresses: which of them lead to this machine, and where a server may send us for files."""

import re
import socket
from contextlib import suppress
from enum import IntEnum
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from urllib3.exceptions import LocationParseError
from urllib3.util import parse_url

from renderctl.core.errors import BadAnswer

_MOST_CHARACTERS = 8192
#: Of an address; programs read a backslash in different ways.
_CHARACTERS = re.compile(r"[!-\[\]-~]+")


class Nearness(IntEnum):
    """How near an address is."""

    PUBLIC = 0
    PRIVATE = 1  #: of the network that this machine is in
    LOCAL = 2  #: this machine itself


def is_unencrypted(url: str) -> bool:
    """Whether what is sent there can be read on the way: plain HTTP to another machine."""
    with suppress(LocationParseError):
        parts = parse_url(url)
        return parts.scheme != "https" and not _is_here(parts.host or "")
    return True


def store_address(url: object, server: str) -> str:
    """An address in the store that a server has told, if it may be asked. Raises BadAnswer.

    It is no less safe than the server's own, and no nearer: a service of this machine, or of a private network, trusts
    whoever is there, and is not for a server to choose that is further away.
    """
    if not isinstance(url, str) or len(url) > _MOST_CHARACTERS or not _CHARACTERS.fullmatch(url):
        raise BadAnswer("The server names an address of the store that is none.")
    try:
        parts, own = parse_url(url), parse_url(server)
    except LocationParseError as error:
        raise BadAnswer("The server names an address of the store that is none.") from error
    if parts.scheme not in ("http", "https") or not parts.host or parts.auth:
        raise BadAnswer("The server names an address of the store that is none.")
    if own.scheme == "https" and parts.scheme != "https":
        raise BadAnswer(f"The server would have {parts.host} asked without TLS.")
    addresses = _addresses(parts.host, parts.port)
    nearest = max(map(_nearness, addresses), default=Nearness.PUBLIC)
    if nearest > _nearness_of(own.host or "", own.port):
        raise BadAnswer(f"The server would have {parts.host} asked, which is {nearest.name.lower()}.")
    return url


def _is_here(host: str) -> bool:
    host = host.strip("[]").partition("%")[0].lower()
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost" or host.endswith(".localhost")


def _nearness(address: IPv4Address | IPv6Address) -> Nearness:
    """Loopback is this machine; link-local is no better: whoever runs the machine answers there."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_loopback or address.is_link_local or address.is_unspecified:
        return Nearness.LOCAL
    return Nearness.PUBLIC if address.is_global else Nearness.PRIVATE


@lru_cache(maxsize=16)
def _nearness_of(host: str, port: int | None) -> Nearness:
    """Of a server, as far as its nearest address."""
    if _is_here(host):
        return Nearness.LOCAL
    return max(map(_nearness, _addresses(host, port)), default=Nearness.PUBLIC)


def _addresses(host: str, port: int | None) -> list[IPv4Address | IPv6Address]:
    """What the name of a host stands for; nothing if nobody knows: then it can not be asked."""
    try:
        infos = socket.getaddrinfo(host.strip("[]").partition("%")[0], port or 443, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [ip_address(str(info[4][0]).partition("%")[0]) for info in infos]
