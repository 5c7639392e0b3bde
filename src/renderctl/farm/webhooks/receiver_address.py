"""Where a receiver may be: an address that leads into the farm's own network is refused, unless an admin allows it.

A name is looked up at each send, and what was checked is what is connected to: a name that leads elsewhere a moment
later leads nowhere.
"""

import re
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from renderctl.core.errors import InvalidInput, NotAllowed
from renderctl.core.settings import WebhookSettings

Address = IPv4Address | IPv6Address

_MOST_CHARACTERS = 2000
_PRINTABLE = re.compile(r"[!-~]+")
_HOST = re.compile(r"[a-z0-9._:-]+")
_PORTS = {"http": 80, "https": 443}
#: Through it a network without IPv4 reaches that (RFC 6052); what leads there is in the last 32 bits.
_NAT64 = IPv6Network("64:ff9b::/96")


@dataclass(frozen=True)
class Receiver:
    """The parts of an address that something is sent to."""

    scheme: str
    host: str
    port: int
    path: str  #: with the query

    @property
    def named(self) -> str:
        """As the header `Host` says it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


def receiver_of(url: str) -> Receiver:
    """The parts of a webhook's URL. Raises InvalidInput, which does not repeat it: it may hold a secret."""
    if len(url) > _MOST_CHARACTERS or not _PRINTABLE.fullmatch(url):
        raise _bad(f"has more than {_MOST_CHARACTERS} characters, spaces, or some that have to be written as %XX")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        host.encode("idna")  # as whoever looks the name up does: no part of it is empty or too long
    except ValueError as error:
        raise _bad("is no address") from error
    if parts.scheme not in _PORTS:
        raise _bad("begins with neither https:// nor http://")
    if "@" in parts.netloc:
        raise _bad("holds a user's name or password")
    if not _HOST.fullmatch(host) or port == 0:
        raise _bad("names no host")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Receiver(parts.scheme, host, port or _PORTS[parts.scheme], path)


def resolved(receiver: Receiver, settings: WebhookSettings) -> list[str]:
    """The addresses of the receiver that may be connected to. Raises NotAllowed, and OSError for an unknown name."""
    infos = socket.getaddrinfo(receiver.host, receiver.port, type=socket.SOCK_STREAM)
    addresses = [ip_address(str(info[4][0]).partition("%")[0]) for info in infos]
    if receiver.host in (host.lower() for host in settings.allow):
        return list(dict.fromkeys(map(str, addresses)))
    networks = list(_networks(settings.allow))
    allowed = [address for address in addresses if _may_be_told(address, networks, private=settings.allow_private)]
    if not allowed:
        hint = "An admin allows it with `webhooks.allow` in the config of whoever sends."
        raise NotAllowed("The receiver is inside the farm's own network.", hint=hint)
    return list(dict.fromkeys(map(str, allowed)))


def _may_be_told(address: Address, networks: Sequence[object], *, private: bool) -> bool:
    if any(address in network for network in networks):  # type: ignore[operator]
        return True
    return all(_is_outside(meaning) or (private and _is_private(meaning)) for meaning in _meant(address))


def _is_outside(address: Address) -> bool:
    special = address.is_multicast or address.is_reserved or address.is_unspecified or address.is_loopback
    old = isinstance(address, IPv6Address) and address.is_site_local
    return address.is_global and not (special or old or address.is_private or address.is_link_local)


def _is_private(address: Address) -> bool:
    """On this machine, or in a network without a way in. Link-local ones are neither: clouds keep secrets there."""
    special = address.is_multicast or address.is_unspecified or address.is_link_local
    return (address.is_private or address.is_loopback) and not special


def _meant(address: Address) -> list[Address]:
    """Where an address leads: what stands for one of IPv4 to that, and the end of a tunnel to both of its ends."""
    if isinstance(address, IPv4Address):
        return [address]
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if address in _NAT64:
        return [IPv4Address(int(address) & 0xFFFFFFFF)]
    ends = (address.sixtofour, *(address.teredo or ()))
    return [address, *(end for end in ends if end is not None)]


def _networks(allowed: Sequence[str]) -> Iterator[object]:
    for network in allowed:
        try:
            yield ip_network(network)
        except ValueError:  # the name of a host
            continue


def _bad(problem: str) -> InvalidInput:
    return InvalidInput(f"The webhook's URL {problem}.", hint="It looks like https://ci.example.org/hooks/renders.")
