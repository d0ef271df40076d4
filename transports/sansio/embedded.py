"""IPv4 addresses that stand within IPv6 ones: ways to one IPv4 host, and to be judged as it."""

from __future__ import annotations

import ipaddress

__all__ = ["ipv4_within"]

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address


def ipv4_within(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Mapped (RFC 4291, 2.5.5.2), of NAT64 (RFC 6052), or of 6to4 (RFC 3056); None for all others.

    Not Teredo's (RFC 4380), which has two of them: its client's is behind a NAT.
    """
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip.ipv4_mapped or ip.sixtofour
