"""Addresses: which of them lead to this machine, and where a server may send us for files."""

import re
import socket
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address

from urllib3.exceptions import LocationParseError
from urllib3.util import Url, parse_url

from renderctl.errors import BadAnswer

_MOST_CHARACTERS = 8192
#: Of an address; programs read a backslash in different ways.
_CHARACTERS = re.compile(r"[!-\[\]-~]+")


def is_in_the_clear(url: str) -> bool:
    """Whether what is sent there can be read on the way: plain HTTP to another machine."""
    with suppress(LocationParseError):
        parts = parse_url(url)
        return parts.scheme != "https" and not _is_here(parts.host or "")
    return True


def store_address(url: object, server: str) -> str:
    """An address in the store that a server has told, if it may be asked. Raises BadAnswer.

    It is no less safe than the server's own, and leads to no service of this machine, which trusts whoever is on it,
    unless the server is on this machine, too.
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
    if not _is_here(own.host or "") and any(_is_of_this_machine(each) for each in _addresses(parts)):
        raise BadAnswer(f"The server would have {parts.host} asked, which is this machine.")
    return url


def _is_here(host: str) -> bool:
    host = host.strip("[]").partition("%")[0].lower()
    with suppress(ValueError):
        return ip_address(host).is_loopback
    return host == "localhost" or host.endswith(".localhost")


def _is_of_this_machine(address: IPv4Address | IPv6Address) -> bool:
    """Loopback; link-local ones are no better: whoever runs the machine answers there."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_loopback or address.is_link_local or address.is_unspecified


def _addresses(parts: Url) -> list[IPv4Address | IPv6Address]:
    """What the name of the host stands for; nothing if nobody knows: then it can not be asked."""
    host = (parts.host or "").strip("[]").partition("%")[0]
    try:
        found = socket.getaddrinfo(host, parts.port or 443, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [ip_address(str(each[4][0]).partition("%")[0]) for each in found]
