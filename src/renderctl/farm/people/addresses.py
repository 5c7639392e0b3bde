"""What a network address counts as, where attempts are counted."""

from ipaddress import IPv4Address, IPv6Network, ip_address

#: A customer of a provider gets at least so much of IPv6: all of it is one sender.
_IPV6_PREFIX = 64


def sender(address: str | None) -> str:
    """The network that counts as one sender: an IPv4 address, the /64 of an IPv6 address, else the text itself.

    An IPv4 address that came through an IPv6 socket (`::ffff:192.0.2.7`) is that IPv4 address.
    """
    try:
        parsed = ip_address((address or "").partition("%")[0])
    except ValueError:
        return str(address)
    if isinstance(parsed, IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(IPv6Network((parsed, _IPV6_PREFIX), strict=False))
