"""Who is behind an IP address: the name under which whoever can use it is counted, limited and banned.

    IPv4                    the address: one machine, one household, or a provider's many
    IPv6                    its /64: one host may use all 2**64 of them, and changes by itself (RFC 8981)
    IPv4 within IPv6        the IPv4 address: mapped (RFC 4291, 2.5.5.2), of NAT64 (RFC 6052), of 6to4 (RFC 3056), which
                            are ways of one IPv4 host, and by /64 would be one holder, or 2**16
    anything else           itself: a name, a relay's `relay ADDRESS`

A provider gives a customer a /56 or a /48 at times, so that a few holders may still be one; that nobody can tell from
outside, and by larger blocks strangers would share a ban.
"""

from __future__ import annotations

import functools
import ipaddress

from shoal.transports.sansio.embedded import ipv4_within

__all__ = ["has_global_address", "holder_of"]

_HOST_BITS = 64
_REMEMBERED = 1024  # the peers of a swarm are asked about again with each decision; reading an address takes 3 us


@functools.lru_cache(maxsize=_REMEMBERED)
def holder_of(address: str) -> str:
    """A name for the holder of the address, the same for all that one host can use."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    within = ipv4_within(ip)
    if within is not None:
        return str(within)
    return str(ipaddress.IPv6Network((int(ip) >> _HOST_BITS << _HOST_BITS, _HOST_BITS)))


def has_global_address(holder: str) -> bool:
    """Whether others on the internet have no such address; what is no address may be many machines'.

    Not whom we may talk to: that is `is_public` in transports/sansio/addresses.py, which refuses more.
    """
    try:
        return ipaddress.ip_network(holder).network_address.is_global
    except ValueError:
        return False
