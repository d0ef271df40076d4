"""Whose address a socket has when proxies of ours stand before the tracker.

    a socket from a trusted proxy    the rightmost entry of X-Forwarded-For that is no trusted proxy
    from anybody else                its own; the header is not read

Every proxy adds, at the right, the address that it was asked from.  So the entries are read from there: what ours have
written is true, and all that is left of the first address that is not ours was written by that client, who may have
made it up (RFC 7239, 8.1).  None of it is read, so no client gets itself another address by what it writes there, of
whatever length.

Where the proxy says nothing, or nothing that can be read, the socket counts as the proxy's own.

Forwarded, the header of RFC 7239, is not read: a proxy that passes it on as it came would let clients choose.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from shoal.balancer.errors import ConfigurationError

__all__ = ["ENTRIES_MAX", "FORWARDED_FOR", "Caller", "TrustedProxies"]

FORWARDED_FOR = "X-Forwarded-For"
ENTRIES_MAX = 8  # read of one request: more proxies of ours in a row are a mistake
_ENTRY_CHARACTERS_MAX = 64  # an IPv6 address with brackets and port has up to 53

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Caller(NamedTuple):
    """Whom a socket is taken for."""

    address: str
    is_unnamed: bool = False  # it is a proxy's, which did not say, or not legibly, for whom it asks


class TrustedProxies:
    """Addresses and networks whose X-Forwarded-For is believed; none, if not told otherwise."""

    def __init__(self, networks: Iterable[str] = ()) -> None:
        self._networks = tuple(map(_network, networks))

    def caller(self, remote: str, lines: Sequence[str]) -> Caller:
        """Whom the socket from `remote` is for, whose request had these lines of X-Forwarded-For.

        Never raises for what they hold.  An address is written in one way, whichever way it came.
        """
        own = _address(remote)
        if own is None or not self._trusts(own):
            return Caller(remote)
        address = None
        for count, entry in enumerate(_from_the_right(lines)):
            address = _read(entry)
            if address is None or count >= ENTRIES_MAX:
                return Caller(str(own), is_unnamed=True)
            if not self._trusts(address):
                break
        # Where all are trusted, the last one read is a client on a proxy's own machine.
        return Caller(str(own), is_unnamed=True) if address is None else Caller(str(address))

    def _trusts(self, address: _Address) -> bool:
        return any(address in network for network in self._networks)


def _from_the_right(lines: Sequence[str]) -> Iterator[str]:
    """The entries, the nearest to us first; several lines are one, joined in their order."""
    for line in reversed(lines):
        rest, comma = line, ","
        while comma:
            rest, comma, entry = rest.rpartition(",")
            yield entry.strip(" \t")


def _read(entry: str) -> _Address | None:
    """An entry: an address, with brackets, a port or both if need be."""
    if len(entry) > _ENTRY_CHARACTERS_MAX:
        return None
    if entry.startswith("["):
        host, bracket, port = entry[1:].partition("]")
        return _address(host) if bracket and ":" in host and _is_port(port) else None
    if entry.count(":") == 1:  # IPv6 has two at least
        host, _, port = entry.partition(":")
        return _address(host) if _is_port(f":{port}") else None
    return _address(entry)


def _is_port(text: str) -> bool:
    """Nothing, or a colon and a number: which one is of no concern."""
    return not text or (text[0] == ":" and text[1:].isascii() and text[1:].isdigit())


def _address(text: str) -> _Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:  # as a socket of both families has it
            return address.ipv4_mapped
        if address.scope_id is not None:
            return ipaddress.IPv6Address(int(address))
    return address


def _network(text: str) -> _Network:
    try:
        network = ipaddress.ip_network(text)
    except ValueError as error:
        raise ConfigurationError(f"trusted proxy {text!r} is no address and no network: {error}") from error
    if not network.prefixlen:
        raise ConfigurationError(f"trusted proxy {text!r} is everybody: each client could then choose its own address")
    if isinstance(network, ipaddress.IPv6Network) and network.network_address.ipv4_mapped is not None:
        raise ConfigurationError(f"trusted proxy {text!r}: write an IPv4 address in its own form")
    return network
